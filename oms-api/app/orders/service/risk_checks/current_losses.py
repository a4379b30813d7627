"""Find the losses of an order's portfolio and of its tenant now, for the risk checks."""

from decimal import Decimal
from functools import partial
from typing import NamedTuple

from app.ledger.models import PositionRow
from app.ledger.queries.valuation import list_open_positions
from app.ledger.rules.equity import NO_EXPOSURE
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.valuation import value_positions
from app.money import ZERO, multiply
from app.orders.rules.values import Order
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.risk_checks.aggregates import get_firm_currency
from app.orders.service.risk_checks.currency_conversion import rate_between
from app.orders.service.risk_checks.loss_limits import compute_equity
from app.risk.queries.losses import list_portfolio_cash, was_set_by_loss_limit
from app.risk.rules.losses import LossBaseline, find_breach, get_day_start
from app.risk.rules.values import Limits, TradingState


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
    """Return what the losses are measured against, read again from time to time and after each flow."""
    key, cash_hash = order.portfolio_key, context.portfolio(order).cash_hash

    def read() -> LossBaseline | None:
        services, ids = context.services, [key.portfolio_id]
        return services.read_loss_baselines(context.connection, key.tenant_id, ids).get(key.portfolio_id)

    return context.services.loss_baselines.get(key, cash_hash, context.now, read)


def _is_overruled(context: BatchContext, order: Order) -> bool:
    """Return whether a person set the portfolio to ACTIVE after a loss limit had switched it today."""
    state, _ = context.state(order)
    name_key, since = context.portfolio(order).name_key, get_day_start(context.now)
    return state is TradingState.ACTIVE and was_set_by_loss_limit(
        context.connection, order.tenant_id, name_key, since
    )


def find_firm_pnl_of_day(context: BatchContext, order: Order, limits: Limits) -> Decimal | None:
    """Return the P&L of the day of all portfolios in the tenant's currency, None where no limit needs it.

    It may be a moment old: see `RecentValues`. Portfolios without a rate to that currency are left out.
    """
    if limits.firm_daily_loss is None:
        return None
    tenant_id, total = order.tenant_id, ZERO
    firm = get_firm_currency(context, tenant_id)
    for base, pnl in _get_profits(context, tenant_id).items():
        rate = Decimal(1) if base == firm else rate_between(context, tenant_id, base, firm)
        total += multiply(pnl, rate or ZERO)
    return total


def load_firm_profits(context: BatchContext, tenant_id: int) -> None:
    """Load the P&L of the day of all portfolios, if a limit needs it."""
    if context.services.controls.get_firm_limits(tenant_id).firm_daily_loss is not None:
        get_firm_currency(context, tenant_id)
        _get_profits(context, tenant_id)


def _get_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    read = partial(_read_profits, context, tenant_id)
    return context.services.firm_profits.get(tenant_id, "", context.now, read)


def _read_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    connection, market = context.connection, context.services.market
    rows = list_portfolio_cash(connection, tenant_id)
    positions = list_open_positions(connection, PositionRow.__table__.c.tenant_id == tenant_id)
    exposures = value_positions(connection, market.find_marks, positions, context.now)
    ids = [row.portfolio_id for row in rows]
    baselines = context.services.read_loss_baselines(connection, tenant_id, ids)
    profits: dict[str, Decimal] = {}
    for row in rows:
        net = exposures.get(PortfolioKey(tenant_id, row.portfolio_id), NO_EXPOSURE).net
        pnl = row.cash + net - baselines[row.portfolio_id].day_equity
        profits[row.base_currency] = profits.get(row.base_currency, ZERO) + pnl
    return profits
