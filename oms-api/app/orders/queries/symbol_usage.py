"""Queries of the positions, orders and limits that use a symbol."""

from sqlalchemy import Connection, exists, select, union

from app.money import ZERO
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDERS, PORTFOLIOS, POSITIONS
from app.risk.models import LimitRow
from app.risk.rules.limits import LimitScope


def load_currencies_in_use(connection: Connection, tenant_id: int, symbol: str) -> set[str]:
    """Return the base currencies of the tenant's portfolios with a position or open order in the symbol."""
    positions = select(POSITIONS.c.portfolio_id).where(
        POSITIONS.c.tenant_id == tenant_id, POSITIONS.c.symbol == symbol, POSITIONS.c.quantity != ZERO
    )
    portfolios_with_orders = select(ORDERS.c.portfolio_id).where(
        ORDERS.c.tenant_id == tenant_id, ORDERS.c.symbol == symbol, IS_OPEN
    )
    in_use = union(positions, portfolios_with_orders).subquery()
    statement = (
        select(PORTFOLIOS.c.base_currency)
        .where(PORTFOLIOS.c.tenant_id == tenant_id, PORTFOLIOS.c.id.in_(select(in_use.c.portfolio_id)))
        .distinct()
    )
    return set(connection.execute(statement).scalars())


def is_symbol_in_use(connection: Connection, tenant_id: int, symbol: str) -> bool:
    """Return whether a position, an open order or an instrument limit uses the symbol.

    The tenant's portfolios are locked first, so that the query waits for transactions which are about to use
    the symbol.
    """
    portfolios = select(PORTFOLIOS.c.id).where(PORTFOLIOS.c.tenant_id == tenant_id).order_by(PORTFOLIOS.c.id)
    connection.execute(portfolios.with_for_update())
    limit = exists().where(
        LimitRow.tenant_id == tenant_id,
        LimitRow.scope == LimitScope.INSTRUMENT.value,
        LimitRow.name_key == symbol,
    )
    if connection.execute(select(limit)).scalar_one():
        return True
    return bool(load_currencies_in_use(connection, tenant_id, symbol))
