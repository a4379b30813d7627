"""Find the losses of an order's portfolio now, for its risk checks."""

from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.loss_baselines import CachedBaseline
from app.orders.service.loss_limits import compute_equity
from app.risk.queries.losses import was_switched_since
from app.risk.rules.losses import LossBaseline, find_breach, get_day_start
from app.risk.rules.values import Limits, TradingState

BASELINE_AGE = timedelta(seconds=2)  # a close is taken seconds after its instant, so this delays it little


class CurrentLosses(NamedTuple):
    """The P&L of the day and the drawdown of a portfolio, None where no limit needs them."""

    pnl_of_day: Decimal | None = None
    drawdown: Decimal | None = None


_NO_LOSSES = CurrentLosses()


def find_current_losses(context: BatchContext, order: Order, limits: Limits) -> CurrentLosses:
    """Return the losses of the order's portfolio at the current marks.

    Where a limit was reached today and a person has set the portfolio to ACTIVE since, its losses deny
    nothing for the rest of the day.
    """
    if limits.max_daily_loss is None and limits.max_drawdown is None:
        return _NO_LOSSES
    baseline = _get_baseline(context, order)
    if baseline is None:
        return _NO_LOSSES
    equity = compute_equity(context, order.portfolio_key)
    is_breached = find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown) is not None
    if is_breached and _is_overruled(context, order):
        return _NO_LOSSES
    total = equity - baseline.total_equity
    return CurrentLosses(equity - baseline.day_equity, max(baseline.peak_pnl, total) - total)


def _get_baseline(context: BatchContext, order: Order) -> LossBaseline | None:
    """Return what the losses are measured against, read at most every BASELINE_AGE and after each flow."""
    key, cash_hash = order.portfolio_key, context.portfolio(order).cash_hash
    cached = context.services.loss_baselines.get(key, cash_hash)
    if cached is not None and timedelta(0) <= context.now - cached.read_at < BASELINE_AGE:
        return cached.baseline
    baselines = context.services.read_loss_baselines(context.connection, key.tenant_id, [key.portfolio_id])
    found = baselines.get(key.portfolio_id)
    if found is not None:
        context.services.loss_baselines.put(key, cash_hash, CachedBaseline(found, context.now))
    return found


def _is_overruled(context: BatchContext, order: Order) -> bool:
    """Return whether a person set the portfolio to ACTIVE after a loss limit had switched it today."""
    state, _ = context.state(order)
    name_key, since = context.portfolio(order).name_key, get_day_start(context.now)
    return state is TradingState.ACTIVE and was_switched_since(
        context.connection, order.tenant_id, name_key, since
    )
