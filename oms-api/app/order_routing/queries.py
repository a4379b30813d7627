"""Transactions and statements of the sessions with brokers."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, Engine, select

from app.brokers.queries import StoredConnection, find_connection
from app.costs.rules.booked_charges import parse_components
from app.database import set_tenant_scope, snapshot, unit_of_work
from app.database.bulk import execute_writes
from app.events.rules import NewEvent
from app.events.service.outbox import build_packed_insert
from app.ledger.models import Portfolio
from app.money import ZERO
from app.orders.models import ExecutionRecord
from app.orders.queries.broker_requests import list_ended_orders
from app.orders.rules.values import Order
from app.timestamps import format_timestamp

LATE_FILL_PERIOD = timedelta(days=1)  # a broker may report the last fill so long after the end of an order


class AssignedPortfolio(NamedTuple):
    """The portfolio that trades over a connection."""

    tenant_id: int
    id: int
    name: str


@contextmanager
def open_transaction(engine: Engine, tenant_id: int) -> Iterator[Connection]:
    """Yield a connection in a transaction that sees one tenant."""
    with unit_of_work(engine) as connection:
        yield set_tenant_scope(connection, [tenant_id])


@contextmanager
def open_snapshot(engine: Engine, tenant_id: int) -> Iterator[Connection]:
    """Yield a connection that reads one tenant in a snapshot, without waiting for writers."""
    with snapshot(engine) as connection:
        yield set_tenant_scope(connection, [tenant_id])


def publish_status(connection: Connection, stored: StoredConnection, now: datetime) -> None:
    """Publish the event that the status of a connection changed."""
    payload = {"connection": stored.name, "broker": stored.broker, "status": stored.status}
    payload |= {} if stored.error is None else {"reason": stored.error}
    event = NewEvent(
        stored.tenant_id,
        f"broker.{stored.status}",
        orjson.dumps(payload).decode(),
        format_timestamp(now),
        stored.name,
    )
    execute_writes(connection, build_packed_insert([event]))


def find_assigned_portfolio(connection: Connection, tenant_id: int, name: str) -> AssignedPortfolio | None:
    """Return the portfolio that trades over a connection, None if there is none."""
    columns = (Portfolio.tenant_id, Portfolio.id, Portfolio.name)
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.broker_connection == name)
    row = connection.execute(select(*columns).where(*conditions)).one_or_none()
    return None if row is None else AssignedPortfolio._make(row)


def list_recently_ended_orders(
    connection: Connection, portfolio: AssignedPortfolio, name: str
) -> list[Order]:
    """Return the ended exits and replacements whose last fills an earlier process may not have read.

    They ended at most LATE_FILL_PERIOD before the last check of the connection.
    """
    stored = find_connection(connection, portfolio.tenant_id, name)
    if stored is None or stored.checked_at is None:
        return []
    since = stored.checked_at - LATE_FILL_PERIOD
    return list_ended_orders(connection, portfolio.tenant_id, portfolio.id, since)


def load_booked_charges(
    connection: Connection, tenant_id: int, portfolio_id: int, since: datetime
) -> dict[str, Decimal]:
    """Return the booked charges of the executions at `since` or later, by order id."""
    conditions = (
        ExecutionRecord.tenant_id == tenant_id,
        ExecutionRecord.portfolio_id == portfolio_id,
        ExecutionRecord.executed_at >= since,
    )
    charges_by_order: dict[str, Decimal] = {}
    for order_id, charges in connection.execute(
        select(ExecutionRecord.order_id, ExecutionRecord.charges).where(*conditions)
    ):
        charges_by_order[order_id] = charges_by_order.get(order_id, ZERO) + sum(
            parse_components(charges).values(), ZERO
        )
    return charges_by_order
