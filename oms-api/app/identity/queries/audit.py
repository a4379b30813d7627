"""Queries of all tenants, users, keys, sessions and workspaces, to verify them against the audit log."""

from collections.abc import Iterator
from typing import Any, cast

from sqlalchemy import Connection, Table, select

from app.column_values import convert_instant
from app.identity.models import ApiKey, Login, PortfolioGrant, Session, SlackWorkspace, Tenant, User

_TABLES = {
    model.__tablename__: cast("Table", model.__table__)
    for model in (ApiKey, Login, PortfolioGrant, Session, SlackWorkspace, Tenant, User)
}


def iterate_rows(connection: Connection, table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table in the order of its primary key, without hashes. Times are canonical text."""
    rows = _TABLES[table]
    columns = [column for column in rows.c if not column.name.endswith("_hash")]
    for row in connection.execute(select(*columns).order_by(*rows.primary_key)).mappings():
        yield {name: convert_instant(value) for name, value in row.items()}
