"""What waits though its time has come: the market duty looks at it again."""

from sqlalchemy import Connection, Numeric, cast, select

from app.orders.models import IS_OPEN
from app.orders.queries.book import ORDERS, OrderKey
from app.orders.rules.values import Role, Status


def find_symbols_with_held_orders(connection: Connection) -> set[OrderKey]:
    """Return (tenant id, symbol) of orders that are held though their entry has filled: a kill switch kept
    them back. Of every tenant that `connection` sees.
    """
    columns = (ORDERS.c.tenant_id, ORDERS.c.symbol, ORDERS.c.parent_id)
    is_held = (ORDERS.c.status == Status.HELD) & (ORDERS.c.role != Role.CLOSING)  # parts of a close wait
    held = select(*columns).where(IS_OPEN, is_held).subquery()
    entry = (ORDERS.c.tenant_id == held.c.tenant_id) & (ORDERS.c.id == held.c.parent_id)
    has_filled = cast(ORDERS.c.filled_quantity, Numeric) > 0
    statement = select(held.c.tenant_id, held.c.symbol).join(ORDERS, entry).where(has_filled).distinct()
    return {(row[0], row[1]) for row in connection.execute(statement)}
