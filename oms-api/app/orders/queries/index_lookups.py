"""Where something stands in a symbol."""

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
    """Return the currencies of the tenant's portfolios that hold the symbol or have an open order in it."""
    held = select(_POSITIONS.c.portfolio_id).where(
        _POSITIONS.c.tenant_id == tenant_id, _POSITIONS.c.symbol == symbol, _POSITIONS.c.quantity != ZERO
    )
    working = select(_ORDERS.c.portfolio_id).where(
        _ORDERS.c.tenant_id == tenant_id, _ORDERS.c.symbol == symbol, IS_OPEN
    )
    there = union(held, working).subquery()
    statement = (
        select(_PORTFOLIOS.c.base_currency)
        .where(_PORTFOLIOS.c.tenant_id == tenant_id, _PORTFOLIOS.c.id.in_(select(there.c.portfolio_id)))
        .distinct()
    )
    return set(connection.execute(statement).scalars())


def is_symbol_in_use(connection: Connection, tenant_id: int, symbol: str) -> bool:
    """Tell whether a position, an open order or an instrument's limit is recorded under the symbol.

    The tenant's portfolios are locked first: what is about to be recorded under it is waited for.
    """
    mine = select(_PORTFOLIOS.c.id).where(_PORTFOLIOS.c.tenant_id == tenant_id).order_by(_PORTFOLIOS.c.id)
    connection.execute(mine.with_for_update())
    limit = exists().where(
        LimitRow.tenant_id == tenant_id,
        LimitRow.scope == LimitScope.INSTRUMENT.value,
        LimitRow.name_key == symbol,
    )
    if connection.execute(select(limit)).scalar_one():
        return True
    return bool(find_currencies_in_use(connection, tenant_id, symbol))
