"""Statements about the symbols that tenants subscribe to."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, delete, func, select

from app.database import build_insert_missing, execute_writes
from app.instruments.rules import InstrumentKey
from app.market_data.models import SubscriptionRow
from app.timestamps import format_timestamp

_TABLE = cast("Table", SubscriptionRow.__table__)
_COLUMNS = ("tenant_id", "symbol", "created_by", "created_at")


class Subscription(NamedTuple):
    """A symbol whose quotes a tenant always follows."""

    symbol: str
    created_by: str
    created_at: datetime


def list_subscriptions(connection: Connection, tenant_id: int) -> list[Subscription]:
    """Return the subscriptions of a tenant by symbol."""
    columns = (SubscriptionRow.symbol, SubscriptionRow.created_by, SubscriptionRow.created_at)
    statement = select(*columns).where(SubscriptionRow.tenant_id == tenant_id)
    return [Subscription._make(row) for row in connection.execute(statement.order_by(SubscriptionRow.symbol))]


def list_all_symbols(connection: Connection) -> frozenset[InstrumentKey]:
    """Return the symbols of all tenants in scope."""
    rows = connection.execute(select(SubscriptionRow.tenant_id, SubscriptionRow.symbol))
    return frozenset(InstrumentKey(*row) for row in rows)


def count_subscriptions(connection: Connection, tenant_id: int) -> int:
    """Return the number of a tenant's subscriptions."""
    statement = select(func.count()).select_from(SubscriptionRow)
    return int(connection.execute(statement.where(SubscriptionRow.tenant_id == tenant_id)).scalar_one())


def insert_subscriptions(
    connection: Connection, tenant_id: int, symbols: Iterable[str], added_by: str, at: datetime
) -> None:
    """Insert those of the symbols that are missing."""
    rows = [(tenant_id, symbol, added_by, format_timestamp(at)) for symbol in symbols]
    execute_writes(connection, build_insert_missing(_TABLE, _COLUMNS, rows))


def delete_subscription(connection: Connection, key: InstrumentKey) -> bool:
    """Delete a subscription. Return whether there was one."""
    is_match = (SubscriptionRow.tenant_id == key.tenant_id, SubscriptionRow.symbol == key.symbol)
    return connection.execute(delete(SubscriptionRow).where(*is_match)).rowcount == 1
