"""Queries about the broker of a portfolio, and whether it may change."""

from typing import NamedTuple

from sqlalchemy import Connection, Numeric, cast, select

from app.ledger.models import Portfolio, PositionRow
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDERS


class AssignedBroker(NamedTuple):
    """A portfolio, its broker, and the broker connection that it trades over, None for the paper market."""

    id: int
    name: str
    broker: str
    connection: str | None


def lock_portfolio(connection: Connection, tenant_id: int, name_key: str) -> AssignedBroker:
    """Lock a portfolio against the writer, and return its broker. The portfolio must exist."""
    columns = (Portfolio.id, Portfolio.name, Portfolio.broker, Portfolio.broker_connection)
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return AssignedBroker._make(
        connection.execute(select(*columns).where(*conditions).with_for_update()).one()
    )


def has_open_orders_or_positions(connection: Connection, tenant_id: int, portfolio_id: int) -> bool:
    """Return whether a portfolio has an open order or a position that is not flat."""
    is_open_order = (ORDERS.c.tenant_id == tenant_id, ORDERS.c.portfolio_id == portfolio_id, IS_OPEN)
    is_held = (
        PositionRow.tenant_id == tenant_id,
        PositionRow.portfolio_id == portfolio_id,
        cast(PositionRow.quantity, Numeric) != 0,
    )
    statements = (select(ORDERS.c.id).where(*is_open_order), select(PositionRow.symbol).where(*is_held))
    return any(connection.execute(statement.limit(1)).first() is not None for statement in statements)
