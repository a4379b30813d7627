"""Find intraday (MIS) orders and positions."""

from sqlalchemy import Connection, Numeric, select
from sqlalchemy import cast as cast_to

from app.ledger.rules.keys import PortfolioKey
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDERS, POSITIONS
from app.orders.rules.trading_sessions import INTRADAY


def find_intraday_portfolios(connection: Connection, tenant_id: int | None = None) -> set[PortfolioKey]:
    """Return the portfolios with an open intraday order or position.

    They are of one tenant, or of every tenant that `connection` can read.
    """
    orders = select(ORDERS.c.tenant_id, ORDERS.c.portfolio_id).where(ORDERS.c.product == INTRADAY, IS_OPEN)
    is_open_position = (POSITIONS.c.product == INTRADAY) & (cast_to(POSITIONS.c.quantity, Numeric) != 0)
    positions = select(POSITIONS.c.tenant_id, POSITIONS.c.portfolio_id).where(is_open_position)
    if tenant_id is not None:
        orders = orders.where(ORDERS.c.tenant_id == tenant_id)
        positions = positions.where(POSITIONS.c.tenant_id == tenant_id)
    return {PortfolioKey(*row) for row in connection.execute(orders.union(positions))}
