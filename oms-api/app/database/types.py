"""Column types that keep amounts exact and times timezone-aware on both databases.

SQLite's own NUMERIC is binary floating point and its date types drop the time zone. On SQLite, these types
store amounts and times as TEXT.
"""

from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

from app.money import DIGITS, PLACES, format_fixed
from app.timestamps import format_timestamp

# Primary keys that the database generates.
Serial = BigInteger().with_variant(Integer, "sqlite")


class Amount(TypeDecorator[Decimal]):
    """NUMERIC(24, 8) on PostgreSQL, and canonical text with 8 decimals on SQLite.

    On SQLite only a CAST compares the values correctly.
    """

    impl = Numeric
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Decimal]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())  # type: ignore[arg-type]  # text in the column, Decimal in Python
        return dialect.type_descriptor(Numeric(DIGITS, PLACES))

    @override
    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        return format_fixed(value) if value is not None and dialect.name == "sqlite" else value

    @override
    def process_result_value(self, value: object, dialect: Dialect) -> Decimal | None:
        return value if value is None or isinstance(value, Decimal) else Decimal(str(value))


class Instant(TypeDecorator[datetime]):
    """TIMESTAMP WITH TIME ZONE on PostgreSQL. On SQLite RFC 3339 text in UTC, which sorts by time."""

    impl = DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())  # type: ignore[arg-type]  # text in the column, datetime in Python
        return dialect.type_descriptor(DateTime(timezone=True))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None or dialect.name != "sqlite":
            return value
        return format_timestamp(value.astimezone(UTC))

    @override
    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return None if value is None else value.astimezone(UTC)
        return datetime.fromisoformat(str(value))
