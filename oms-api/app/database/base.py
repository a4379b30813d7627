"""The declarative base, with a naming convention for constraints, so that migrations can refer to them."""

from sqlalchemy import Index, MetaData, TextClause
from sqlalchemy.orm import DeclarativeBase

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = METADATA


def build_partial_index(
    name: str | None, condition: TextClause, *columns: str, unique: bool = False
) -> Index:
    """Return an index of the rows that meet the condition, on both databases."""
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)
