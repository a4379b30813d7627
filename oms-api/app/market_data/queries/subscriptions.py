"""Statements about the symbols that tenants subscribe to."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, select

from app.database import RecordTable, build_insert_missing, execute_writes
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


SUBSCRIPTIONS = RecordTable(SubscriptionRow, Subscription)


def list_subscriptions(connection: Connection, tenant_id: int) -> list[Subscription]:
    """Return the subscriptions of a tenant by symbol."""
    query = SUBSCRIPTIONS.select(tenant_id=tenant_id)
    return SUBSCRIPTIONS.read(connection, query.order_by(SubscriptionRow.symbol))


def list_all_symbols(connection: Connection) -> frozenset[InstrumentKey]:
    """Return the symbols of all tenants in scope."""
    rows = connection.execute(select(SubscriptionRow.tenant_id, SubscriptionRow.symbol))
    return frozenset(InstrumentKey(*row) for row in rows)


def insert_subscriptions(
    connection: Connection, tenant_id: int, symbols: Iterable[str], added_by: str, at: datetime
) -> None:
    """Insert the subscriptions that are missing."""
    rows = [(tenant_id, symbol, added_by, format_timestamp(at)) for symbol in symbols]
    execute_writes(connection, build_insert_missing(_TABLE, _COLUMNS, rows))
