"""Find orders that are due: held ones for release, others because they expire."""

from datetime import datetime

from sqlalchemy import Connection, Numeric, cast, select, union

from app.instruments.rules import InstrumentKey
from app.orders.models import IS_OPEN
from app.orders.queries.approvals import select_tenants_with_expired_requests
from app.orders.queries.book import ORDERS, has_ended
from app.orders.rules.trading_sessions import OPENING
from app.orders.rules.values import Role, Status, TimeInForce


def find_symbols_with_held_orders(connection: Connection) -> set[InstrumentKey]:
    """Return the instruments of held orders whose entry has filled.

    They are of every tenant that `connection` can read. A kill switch kept them from being released; the
    market watcher tries them again.
    """
    columns = (ORDERS.c.tenant_id, ORDERS.c.symbol, ORDERS.c.parent_id)
    is_held = (ORDERS.c.status == Status.HELD) & (
        ORDERS.c.role != Role.CLOSING
    )  # later parts of a close are held on purpose
    held = select(*columns).where(IS_OPEN, is_held).subquery()
    entry = (ORDERS.c.tenant_id == held.c.tenant_id) & (ORDERS.c.id == held.c.parent_id)
    has_filled = cast(ORDERS.c.filled_quantity, Numeric) > 0
    statement = select(held.c.tenant_id, held.c.symbol).join(ORDERS, entry).where(has_filled).distinct()
    return {InstrumentKey(*row) for row in connection.execute(statement)}


def find_overdue_tenants(connection: Connection, now: str) -> list[int]:
    """Return the tenants with orders that expire at `now` or before, or that nobody approved until then.

    They are of those that `connection` can read.
    """
    expired = select(ORDERS.c.tenant_id).where(IS_OPEN, has_ended(now))
    both = union(expired, select_tenants_with_expired_requests(now))
    return list(connection.execute(both).scalars())


def find_symbols_waiting_for_session(connection: Connection, now: datetime) -> list[InstrumentKey]:
    """Return the instruments of held orders that wait for their session, not for another order.

    They are of every tenant that `connection` can read. An OPG order is left out until its open.
    """
    waits = (ORDERS.c.status == Status.HELD) & ORDERS.c.parent_id.is_(None)
    opens = (ORDERS.c.time_in_force != TimeInForce.OPG) | (ORDERS.c.ends_at <= now + OPENING)
    statement = select(ORDERS.c.tenant_id, ORDERS.c.symbol).where(IS_OPEN, waits, opens).distinct()
    return [InstrumentKey(*row) for row in connection.execute(statement)]
