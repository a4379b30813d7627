"""Read the exits of a position, including those that have ended."""

from datetime import datetime

from sqlalchemy import Connection, or_

from app.ledger.rules.keys import PositionKey
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDERS, select_orders
from app.orders.rules.contingency import EXITS
from app.orders.rules.values import Order
from app.timestamps import Timestamp


def list_recent_exits(connection: Connection, key: PositionKey, since: Timestamp) -> list[Order]:
    """Return the exits of a position that are open or changed at `since` or later, oldest first."""
    return select_orders(
        connection,
        ORDERS.c.tenant_id == key.tenant_id,
        ORDERS.c.symbol == key.symbol,
        ORDERS.c.portfolio_id == key.portfolio_id,
        ORDERS.c.product == key.product,
        ORDERS.c.role.in_(EXITS),
        or_(IS_OPEN, ORDERS.c.updated_at >= datetime.fromisoformat(since)),
    )
