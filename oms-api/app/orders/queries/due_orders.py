"""Queries of orders that are due: held orders to release, orders that expire, and intraday orders."""

from datetime import datetime

from sqlalchemy import Connection, Numeric, cast, func, select

from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey
from app.orders.models import IS_OPEN
from app.orders.queries.approvals import select_tenants_with_expired_requests
from app.orders.queries.orders import build_expiry_condition
from app.orders.queries.tables import ORDERS, POSITIONS
from app.orders.rules.trading_sessions import INTRADAY, OPENING_PERIOD
from app.orders.rules.values import Role, Status, TimeInForce


def list_instruments_with_held_orders(connection: Connection) -> set[InstrumentKey]:
    """Return the instruments of held orders whose entry has filled.

    They belong to any tenant that `connection` can read. A kill switch prevented the release of these orders,
    and the market watcher tries again.
    """
    columns = (ORDERS.c.tenant_id, ORDERS.c.symbol, ORDERS.c.parent_id)
    # The later parts of a close are held until the earlier parts have filled.
    is_held = (ORDERS.c.status == Status.HELD) & (ORDERS.c.role != Role.CLOSING)
    held_orders = select(*columns).where(IS_OPEN, is_held).subquery()
    entry = (ORDERS.c.tenant_id == held_orders.c.tenant_id) & (ORDERS.c.id == held_orders.c.parent_id)
    has_filled = cast(ORDERS.c.filled_quantity, Numeric) > 0
    statement = (
        select(held_orders.c.tenant_id, held_orders.c.symbol).join(ORDERS, entry).where(has_filled).distinct()
    )
    return {InstrumentKey(*row) for row in connection.execute(statement)}


def count_overdue_orders(connection: Connection, now: str) -> dict[PortfolioKey, int]:
    """Return the number of orders that expire at `now` or before, by portfolio.

    The portfolios belong to any tenant that `connection` can read.
    """
    owner = (ORDERS.c.tenant_id, ORDERS.c.portfolio_id)
    statement = (
        select(*owner, func.count())
        .where(IS_OPEN, build_expiry_condition(now))
        .group_by(*owner)
        .order_by(*owner)
    )
    rows = connection.execute(statement)
    return {PortfolioKey(tenant_id, portfolio_id): count for tenant_id, portfolio_id, count in rows}


def list_tenants_with_expired_requests(connection: Connection, now: str) -> list[int]:
    """Return the ids of the tenants with approval requests that expired at `now` or before."""
    return sorted(set(connection.execute(select_tenants_with_expired_requests(now)).scalars()))


def list_instruments_waiting_for_session(connection: Connection, now: datetime) -> list[InstrumentKey]:
    """Return the instruments of held orders that wait for their session, not for another order.

    They belong to any tenant that `connection` can read. An OPG order is left out until its open.
    """
    waits = (ORDERS.c.status == Status.HELD) & ORDERS.c.parent_id.is_(None)
    opens = (ORDERS.c.time_in_force != TimeInForce.OPG) | (ORDERS.c.ends_at <= now + OPENING_PERIOD)
    statement = select(ORDERS.c.tenant_id, ORDERS.c.symbol).where(IS_OPEN, waits, opens).distinct()
    return [InstrumentKey(*row) for row in connection.execute(statement)]


def list_intraday_portfolios(connection: Connection, tenant_id: int | None = None) -> set[PortfolioKey]:
    """Return the portfolios with an open intraday order or position.

    They belong to one tenant, or to any tenant that `connection` can read.
    """
    orders = select(ORDERS.c.tenant_id, ORDERS.c.portfolio_id).where(ORDERS.c.product == INTRADAY, IS_OPEN)
    is_open_position = (POSITIONS.c.product == INTRADAY) & (cast(POSITIONS.c.quantity, Numeric) != 0)
    positions = select(POSITIONS.c.tenant_id, POSITIONS.c.portfolio_id).where(is_open_position)
    if tenant_id is not None:
        orders = orders.where(ORDERS.c.tenant_id == tenant_id)
        positions = positions.where(POSITIONS.c.tenant_id == tenant_id)
    return {PortfolioKey(*row) for row in connection.execute(orders.union(positions))}
