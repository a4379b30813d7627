"""Read the positions and orders that a kill switch closes."""

from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, select

from app.ledger.models import Portfolio, PositionRow
from app.ledger.rules.keys import PositionKey
from app.money import ZERO
from app.orders.models import IS_OPEN, Execution, OrderRecord

_PORTFOLIOS = cast("Table", Portfolio.__table__)
_POSITIONS = cast("Table", PositionRow.__table__)
_ORDERS = cast("Table", OrderRecord.__table__)
_EXECUTIONS = cast("Table", Execution.__table__)
_CHUNK = 10_000


class Held(NamedTuple):
    """An open position, or a part of it. `quantity` is signed."""

    portfolio_id: int
    portfolio: str
    symbol: str
    product: str
    quantity: Decimal


def list_open_positions(connection: Connection, tenant_id: int, name_key: str | None) -> list[Held]:
    """Return the open positions of one portfolio, or of all portfolios if `name_key` is None."""
    is_same_portfolio = (_PORTFOLIOS.c.tenant_id == _POSITIONS.c.tenant_id) & (
        _PORTFOLIOS.c.id == _POSITIONS.c.portfolio_id
    )
    columns: tuple[Any, ...] = (_PORTFOLIOS.c.name, _POSITIONS.c.symbol, _POSITIONS.c.product)
    statement = (
        select(_PORTFOLIOS.c.id, *columns, _POSITIONS.c.quantity)
        .select_from(_POSITIONS.join(_PORTFOLIOS, is_same_portfolio))
        .where(_POSITIONS.c.tenant_id == tenant_id)
        .order_by(*columns)
    )
    if name_key is not None:
        statement = statement.where(_PORTFOLIOS.c.name_key == name_key)
    return [Held._make(row) for row in connection.execute(statement) if row[4]]


def find_portfolio_names_with_orders(
    connection: Connection, tenant_id: int, name_key: str | None, strategy: str | None
) -> list[str]:
    """Return the names of the tenant's portfolios that have open orders.

    `name_key` selects one portfolio, `strategy` the orders of one strategy; None selects all.
    """
    is_same_portfolio = (_PORTFOLIOS.c.tenant_id == _ORDERS.c.tenant_id) & (
        _PORTFOLIOS.c.id == _ORDERS.c.portfolio_id
    )
    statement = (
        select(_PORTFOLIOS.c.name)
        .select_from(_ORDERS.join(_PORTFOLIOS, is_same_portfolio))
        .where(_ORDERS.c.tenant_id == tenant_id, IS_OPEN)
        .distinct()
    )
    if name_key is not None:
        statement = statement.where(_PORTFOLIOS.c.name_key == name_key)
    if strategy is not None:
        statement = statement.where(_ORDERS.c.strategy == strategy)
    return sorted(row[0] for row in connection.execute(statement))


def get_net_executed_quantities(
    connection: Connection, tenant_id: int, strategy: str
) -> dict[PositionKey, Decimal]:
    """Return the net executed quantity of a strategy for each position: bought minus sold."""
    is_same_portfolio = (_ORDERS.c.tenant_id == _EXECUTIONS.c.tenant_id) & (
        _ORDERS.c.id == _EXECUTIONS.c.order_id
    )
    columns = (_ORDERS.c.portfolio_id, _ORDERS.c.symbol, _ORDERS.c.product, _ORDERS.c.side)
    statement = (
        select(*columns, _EXECUTIONS.c.quantity)
        .select_from(_ORDERS.join(_EXECUTIONS, is_same_portfolio))
        .where(_ORDERS.c.tenant_id == tenant_id, _ORDERS.c.strategy == strategy)
    )
    nets: dict[PositionKey, Decimal] = defaultdict(lambda: ZERO)
    # Summed in Python, because SQLite would sum in floating point.
    for *key, side, quantity in connection.execute(statement, execution_options={"yield_per": _CHUNK}):
        nets[PositionKey(tenant_id, *key)] += quantity if side == "BUY" else -quantity
    return nets
