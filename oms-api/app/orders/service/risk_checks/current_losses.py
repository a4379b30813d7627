"""Find the losses of an order's portfolio and of its tenant now, for the risk checks."""

from decimal import Decimal
from functools import partial
from typing import NamedTuple

from app.ledger.models import PositionRow
from app.ledger.queries.valuation import list_open_positions
from app.ledger.rules.equity import NO_EXPOSURE
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_state import PortfolioState
from app.ledger.service.valuation import value_positions
from app.money import ZERO, multiply
from app.orders.rules.values import Order
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.risk_checks.aggregates import get_firm_currency
from app.orders.service.risk_checks.currency_conversion import find_conversion_rate
from app.orders.service.risk_checks.loss_limits import compute_equity, load_portfolios_switched_by_losses
from app.risk.queries.losses import list_portfolio_cash
from app.risk.rules.limits import Subject
from app.risk.rules.losses import LossBaseline, find_breach
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
    baseline = _get_baseline(context, order.portfolio_key)
    if baseline is None:
        return _NO_LOSSES
    equity, portfolio = compute_equity(context, order.portfolio_key), context.get_portfolio(order)
    is_breached = find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown) is not None
    if (
        is_breached
        and context.get_trading_state(order).state is TradingState.ACTIVE
        and _was_switched(context, portfolio)
    ):
        return _NO_LOSSES
    total = equity - baseline.total_equity
    return CurrentLosses(equity - baseline.day_equity, max(baseline.peak_pnl, total) - total)


def load_losses(context: BatchContext, key: PortfolioKey) -> None:
    """Load what a portfolio's losses are measured against, and whether its limit was reached today."""
    if key in context.ledger.new_portfolios:
        return
    portfolio = context.ledger.get_portfolio(key)
    subject = Subject(portfolio_name_key=portfolio.name_key, symbol="", is_live=portfolio.kind == "live")
    limits = context.services.controls.get_limits(key.tenant_id, subject)
    if limits.max_daily_loss is None and limits.max_drawdown is None:
        return
    baseline, equity = _get_baseline(context, key), compute_equity(context, key)
    if baseline and find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown) is not None:
        _was_switched(context, portfolio)


def _get_baseline(context: BatchContext, key: PortfolioKey) -> LossBaseline | None:
    """Return what the losses are measured against, read again from time to time and after each flow."""
    cash_hash = context.ledger.get_portfolio(key).cash_hash

    def read() -> LossBaseline | None:
        services, ids = context.services, [key.portfolio_id]
        return services.read_loss_baselines(context.connection, key.tenant_id, ids).get(key.portfolio_id)

    return context.services.loss_baselines.get(key, cash_hash, context.now, read)


def _was_switched(context: BatchContext, portfolio: PortfolioState) -> bool:
    """Return whether a loss limit has switched the portfolio today."""
    return portfolio.name_key in load_portfolios_switched_by_losses(context, portfolio.tenant_id)


def find_firm_pnl_of_day(context: BatchContext, order: Order, limits: Limits) -> Decimal | None:
    """Return the P&L of the day of all portfolios in the tenant's currency, None where no limit needs it.

    It may be a moment old: see `RecentValues`. Portfolios without a rate to that currency are left out.
    """
    if limits.firm_daily_loss is None:
        return None
    tenant_id, total = order.tenant_id, ZERO
    firm = get_firm_currency(context, tenant_id)
    for base, pnl in _get_profits(context, tenant_id).items():
        rate = Decimal(1) if base == firm else find_conversion_rate(context, tenant_id, base, firm)
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
