"""Read the fills of strategies for their statistics."""

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, select

from app.ledger.models import Portfolio, Trade
from app.ledger.queries.reversals import build_unreversed_trade_condition
from app.ledger.rules.accounting import Side
from app.ledger.rules.keys import PositionKey
from app.orders.models import OrderRecord
from app.strategies.rules.statistics import StrategyFill
from app.strategies.rules.values import MANUAL

_CHUNK_ROWS = 2_000


def load_fills_by_strategy(
    connection: Connection, tenant_id: int, names: Collection[str], portfolios: frozenset[str] | None
) -> dict[str, list[StrategyFill]]:
    """Return the fills of strategies in the order of their booking, without those that were reversed.

    `portfolios` are the name keys that the caller may see. Fills without a strategy have the name MANUAL.
    """
    is_its_order = (OrderRecord.tenant_id == Trade.tenant_id) & (OrderRecord.id == Trade.order_id)
    is_home = (Portfolio.tenant_id == Trade.tenant_id) & (Portfolio.id == Trade.portfolio_id)
    columns = (
        OrderRecord.strategy, Trade.portfolio_id, Trade.symbol, Trade.product, Trade.side, Trade.quantity,
        Trade.cash_delta, Trade.charges, Trade.executed_at,
    )  # fmt: skip
    condition: ColumnElement[bool] = OrderRecord.strategy.in_(sorted(names))
    if MANUAL in names:
        condition = condition | OrderRecord.strategy.is_(None)
    statement = (
        select(*columns)
        .outerjoin(OrderRecord, is_its_order)
        .where(Trade.tenant_id == tenant_id, condition, build_unreversed_trade_condition())
        .order_by(Trade.trade_id)
    )
    if portfolios is not None:
        statement = statement.join(Portfolio, is_home).where(Portfolio.name_key.in_(sorted(portfolios)))
    fills: defaultdict[str, list[StrategyFill]] = defaultdict(list)
    for row in connection.execute(statement, execution_options={"yield_per": _CHUNK_ROWS}):
        strategy, portfolio_id, symbol, product, side, quantity, cash_delta, charges, at = row
        position_key = PositionKey(tenant_id, portfolio_id, symbol, product)
        fill = StrategyFill(position_key, Side(side), quantity, abs(cash_delta + charges), charges, at)
        fills[strategy or MANUAL].append(fill)
    return fills


def load_capital(connection: Connection, tenant_id: int, portfolio_id: int) -> Decimal:
    """Return the opening cash of a portfolio."""
    statement = select(Portfolio.opening_cash).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id
    )
    return Decimal(connection.execute(statement).scalar_one())
