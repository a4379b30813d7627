"""Find out where a symbol is in use."""

from typing import cast

from sqlalchemy import Connection, Table, exists, select, union

from app.ledger.models import Portfolio, PositionRow
from app.money import ZERO
from app.orders.models import IS_OPEN, OrderRecord
from app.risk.models import LimitRow
from app.risk.rules.limits import LimitScope

_PORTFOLIOS = cast("Table", Portfolio.__table__)
_POSITIONS = cast("Table", PositionRow.__table__)
_ORDERS = cast("Table", OrderRecord.__table__)


def find_currencies_in_use(connection: Connection, tenant_id: int, symbol: str) -> set[str]:
    """Return the base currencies of the tenant's portfolios with a position or open order in the symbol."""
    held = select(_POSITIONS.c.portfolio_id).where(
        _POSITIONS.c.tenant_id == tenant_id, _POSITIONS.c.symbol == symbol, _POSITIONS.c.quantity != ZERO
    )
    working = select(_ORDERS.c.portfolio_id).where(
        _ORDERS.c.tenant_id == tenant_id, _ORDERS.c.symbol == symbol, IS_OPEN
    )
    in_use = union(held, working).subquery()
    statement = (
        select(_PORTFOLIOS.c.base_currency)
        .where(_PORTFOLIOS.c.tenant_id == tenant_id, _PORTFOLIOS.c.id.in_(select(in_use.c.portfolio_id)))
        .distinct()
    )
    return set(connection.execute(statement).scalars())


def is_symbol_in_use(connection: Connection, tenant_id: int, symbol: str) -> bool:
    """Return whether a position, an open order or an instrument limit uses the symbol.

    The tenant's portfolios are locked first, so that the query waits for transactions which are about to use
    the symbol.
    """
    portfolios = (
        select(_PORTFOLIOS.c.id).where(_PORTFOLIOS.c.tenant_id == tenant_id).order_by(_PORTFOLIOS.c.id)
    )
    connection.execute(portfolios.with_for_update())
    limit = exists().where(
        LimitRow.tenant_id == tenant_id,
        LimitRow.scope == LimitScope.INSTRUMENT.value,
        LimitRow.name_key == symbol,
    )
    if connection.execute(select(limit)).scalar_one():
        return True
    return bool(find_currencies_in_use(connection, tenant_id, symbol))
