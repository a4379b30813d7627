"""Reduce the exits of a position after reported and reversed trades, so that no exit exceeds it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import TradeKey
from app.ledger.rules.ledger_state import REVERSAL
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import RecordedTrade
from app.orders.queries.orders import list_open_orders_in_symbol
from app.orders.rules.contingency import find_reduction
from app.orders.service.batch_state.batch_context import BatchContext, BatchServices
from app.orders.service.batch_state.portfolio_loading import create_cache_update, load_portfolios
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.contingent_orders.exit_restoration import find_reversed_reduction, restore_exits


def reduce_exits_after_trades(
    services: BatchServices, batch: LedgerBatch, outcomes: Sequence[object]
) -> Callable[[], None]:
    """Reduce the exits of positions that a batch of trades reduced. The trades are already written.

    Return a function that updates the caches. Call it after the commit.
    """
    trades = [
        outcome
        for outcome in outcomes
        if isinstance(outcome, RecordedTrade) and _may_concern_orders(batch, outcome)
    ]
    if not trades:
        return _leave_caches
    now = max(datetime.fromisoformat(trade.row.created_at) for trade in trades)
    context = BatchContext(batch, services, now)
    trades = _select_trades_with_orders(context, trades)
    if not trades:
        return _leave_caches
    load_portfolios(context, {trade.row.portfolio_key for trade in trades})
    for trade in trades:
        reduce_exits_after_trade(context, trade)
    context.flush()
    return create_cache_update(context)


def _leave_caches() -> None:
    """Change nothing: the next batch reads the changes by the trades."""


def reduce_exits_after_trade(context: BatchContext, recorded_trade: RecordedTrade) -> None:
    """Reduce the exits of the position that a trade or a reversal reduced.

    The reversal of a trade that reduced the position restores them.
    """
    row = recorded_trade.row
    if not _may_concern_orders(context.ledger, recorded_trade):
        return
    reduce_competing_orders(context, row, row.created_at)
    if row.kind == REVERSAL:
        _restore_exits(context, row)


def _restore_exits(context: BatchContext, row: TradeRow) -> None:
    original = context.ledger.originals[TradeKey(row.tenant_id, row.reverses or "")]
    reversed_reduction = find_reversed_reduction(original, row, f"{original.trade_id} was reversed")
    if reversed_reduction is not None:
        restore_exits(context, reversed_reduction, row.created_at)


def _may_concern_orders(batch: LedgerBatch, recorded_trade: RecordedTrade) -> bool:
    """Return whether a trade reduced, or a reversal changed, a position of a portfolio with orders."""
    row = recorded_trade.row
    if recorded_trade.is_replayed or not batch.get_portfolio(row.portfolio_key).open_orders_version:
        return False
    if row.kind == REVERSAL:
        return True
    return find_reduction(Decimal(row.position_quantity), Decimal(row.quantity_delta)) is not None


def _select_trades_with_orders(
    context: BatchContext, candidates: Iterable[RecordedTrade]
) -> list[RecordedTrade]:
    """Return the trades that may change orders: trades in symbols with open orders, and reversals."""
    trades = []
    for recorded_trade in candidates:
        if recorded_trade.row.kind == REVERSAL:
            trades.append(recorded_trade)
            continue
        portfolio_key = recorded_trade.row.portfolio_key
        state = context.ledger.get_portfolio(portfolio_key)
        cached_orders = context.services.portfolios.find_open_orders(context.connection, state)
        if cached_orders is not None:
            has_orders = bool(cached_orders.by_symbol.get(recorded_trade.row.symbol))
        else:
            has_orders = bool(
                list_open_orders_in_symbol(context.connection, portfolio_key, recorded_trade.row.symbol)
            )
        if has_orders:
            trades.append(recorded_trade)
    return trades
