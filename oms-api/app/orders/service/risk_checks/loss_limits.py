"""Compare the losses of portfolios with their limits: in the risk checks of an order, and regularly."""

import logging
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from app.ledger.models import PositionRow
from app.ledger.queries.valuation import list_positions_to_value
from app.ledger.rules.equity import NO_EXPOSURE
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_state import PortfolioState
from app.ledger.service.valuation import value_positions
from app.money import ZERO, multiply
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.internal_commands import CheckLosses
from app.orders.service.risk_checks.aggregates import load_firm_currency
from app.orders.service.risk_checks.currency_conversion import find_conversion_rate
from app.orders.service.risk_checks.order_estimates import sum_exposures
from app.risk.queries.losses import list_portfolio_cash, list_portfolios_set_by_loss_limits
from app.risk.queries.switches import (
    PortfolioTradingState,
    SwitchChange,
    list_switches,
    update_trading_states,
)
from app.risk.rules.limits import LimitSubject
from app.risk.rules.losses import (
    LOSS_LIMIT_ACTOR,
    NEW_DAY_REASON,
    Breach,
    LossBaseline,
    SwitchState,
    describe_breach,
    find_breach,
    find_new_switch_state,
    get_day_start,
)
from app.risk.rules.switches import Switches, SwitchScope
from app.risk.rules.values import OrderLimits, TradingState
from app.risk.service.audit_entries import build_automatic_switch_entry
from app.risk.service.kill_switch_activation import MAX_SWITCHES, build_switch_writes
from app.timestamps import Timestamp, format_timestamp

_LOG = logging.getLogger(__name__)


def load_loss_checks(context: BatchContext, command: CheckLosses) -> None:
    """Load the loss baselines and the kill switches."""
    tenant_id, loaded = command.tenant_id, context.loaded
    portfolio_keys = loaded.portfolios_with_loss_limits[tenant_id]
    if portfolio_keys and tenant_id not in loaded.switch_changes:
        ids = [portfolio_key.portfolio_id for portfolio_key in portfolio_keys]
        baselines = context.services.read_loss_baselines(context.connection, tenant_id, ids)
        loaded.loss_baselines |= {
            PortfolioKey(tenant_id, key): baseline for key, baseline in baselines.items()
        }
        changes = list_switches(context.connection, tenant_id)
        loaded.switch_changes[tenant_id] = {(change.scope, change.key): change for change in changes}
        load_portfolios_switched_by_losses(context, tenant_id)


def load_portfolios_switched_by_losses(context: BatchContext, tenant_id: int) -> set[str]:
    """Load the name keys of the portfolios that a loss limit switched today, and return them."""
    switched = context.loaded.portfolios_halted_by_losses
    if tenant_id not in switched:
        since = get_day_start(context.now)
        switched[tenant_id] = list_portfolios_set_by_loss_limits(context.connection, tenant_id, since)
    return switched[tenant_id]


def check_losses(context: BatchContext, command: CheckLosses) -> OrderResult:
    """Compare the losses of a tenant's portfolios with their limits, and set their switches."""
    for portfolio_key in context.loaded.portfolios_with_loss_limits.get(command.tenant_id, []):
        baseline = context.loaded.loss_baselines.get(portfolio_key)
        if baseline is not None:
            _check_portfolio(context, portfolio_key, baseline, command.at)
    return NO_ORDERS


def compute_equity(context: BatchContext, portfolio_key: PortfolioKey) -> Decimal:
    """Return cash plus the market value of the positions, in the portfolio's currency."""
    return context.ledger.get_portfolio(portfolio_key).cash + sum_exposures(context, portfolio_key).net


def _check_portfolio(
    context: BatchContext, portfolio_key: PortfolioKey, baseline: LossBaseline, at: Timestamp
) -> None:
    portfolio = context.ledger.get_portfolio(portfolio_key)
    is_live = portfolio.kind == "live"
    subject = LimitSubject(portfolio_name_key=portfolio.name_key, symbol="", is_live=is_live)
    limits = context.services.controls.get_limits(portfolio.tenant_id, subject)
    equity = compute_equity(context, portfolio_key)
    breach = find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown)
    set_before = context.loaded.switch_changes[portfolio.tenant_id].get(_build_switch_key(portfolio))
    switch = set_before and SwitchState(set_before.state, set_before.set_by, set_before.set_at)
    was_set_today = portfolio.name_key in context.loaded.portfolios_halted_by_losses[portfolio.tenant_id]
    day_start = format_timestamp(get_day_start(context.now))
    state = find_new_switch_state(breach, switch, day_start, was_set_today=was_set_today)
    if state is not None:
        _set_switch(context, portfolio, state, breach, at)


def _build_switch_key(portfolio: PortfolioState) -> tuple[SwitchScope, str]:
    return SwitchScope.PORTFOLIO, portfolio.name_key


def _set_switch(
    context: BatchContext,
    portfolio: PortfolioState,
    state: TradingState,
    breach: Breach | None,
    at: Timestamp,
) -> None:
    """Set the portfolio's kill switch, under its lock, with the event and the audit entry."""
    tenant_id, switch_key, loaded = portfolio.tenant_id, _build_switch_key(portfolio), context.loaded
    changes = loaded.switch_changes[tenant_id]
    if switch_key not in changes and len(changes) >= MAX_SWITCHES:
        message = "cannot set the kill switch of portfolio %s, whose losses exceed a limit: the tenant has %s"
        _LOG.error(message, portfolio.id, len(changes))
        return
    reason = NEW_DAY_REASON if breach is None else describe_breach(breach)
    change = SwitchChange(*switch_key, portfolio.name, state, reason, LOSS_LIMIT_ACTOR, at)
    changes[switch_key] = change
    if state is TradingState.REDUCING:
        loaded.portfolios_halted_by_losses[tenant_id].add(portfolio.name_key)
    states = {**loaded.switches[tenant_id].states, switch_key: state}
    not_active = {key: value for key, value in states.items() if value is not TradingState.ACTIVE}
    switches = loaded.switches[tenant_id] = Switches(not_active)
    row = PortfolioTradingState(portfolio.id, portfolio.name_key, portfolio.trading_state)
    context.extra_writes += build_switch_writes(tenant_id, change)
    context.extra_writes += update_trading_states(tenant_id, [row], switches)
    portfolio.trading_state = switches.get_state(portfolio.name_key).state.value
    context.audit_entries.append(build_automatic_switch_entry(tenant_id, datetime.fromisoformat(at), change))


class CurrentLosses(NamedTuple):
    """The P&L of the day and the drawdown of a portfolio, None where no limit needs them."""

    pnl_of_day: Decimal | None = None
    drawdown: Decimal | None = None


_NO_LOSSES = CurrentLosses()


def find_current_losses(context: BatchContext, order: Order, limits: OrderLimits) -> CurrentLosses:
    """Return the losses of the order's portfolio at the current marks.

    If a limit was reached today and a person has set the portfolio to ACTIVE since, its losses deny
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
    """Load a portfolio's loss baseline, and whether its limit was reached today."""
    if key in context.ledger.new_portfolios:
        return
    portfolio = context.ledger.get_portfolio(key)
    subject = LimitSubject(portfolio_name_key=portfolio.name_key, symbol="", is_live=portfolio.kind == "live")
    limits = context.services.controls.get_limits(key.tenant_id, subject)
    if limits.max_daily_loss is None and limits.max_drawdown is None:
        return
    baseline, equity = _get_baseline(context, key), compute_equity(context, key)
    if baseline and find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown) is not None:
        _was_switched(context, portfolio)


def _get_baseline(context: BatchContext, key: PortfolioKey) -> LossBaseline | None:
    """Return the loss baseline, read again from time to time and after each flow."""
    cash_hash = context.ledger.get_portfolio(key).cash_hash

    def read() -> LossBaseline | None:
        services, ids = context.services, [key.portfolio_id]
        return services.read_loss_baselines(context.connection, key.tenant_id, ids).get(key.portfolio_id)

    return context.services.loss_baselines.get(key, cash_hash, context.now, read)


def _was_switched(context: BatchContext, portfolio: PortfolioState) -> bool:
    """Return whether a loss limit has switched the portfolio today."""
    return portfolio.name_key in load_portfolios_switched_by_losses(context, portfolio.tenant_id)


def find_firm_pnl_of_day(context: BatchContext, order: Order, limits: OrderLimits) -> Decimal | None:
    """Return the P&L of the day of all portfolios in the tenant's currency, None where no limit needs it.

    It may be a moment old: see `RecentValues`. Portfolios without a rate to that currency are left out.
    """
    if limits.firm_daily_loss is None:
        return None
    tenant_id, total = order.tenant_id, ZERO
    firm = load_firm_currency(context, tenant_id)
    for base, pnl in _get_profits(context, tenant_id).items():
        rate = Decimal(1) if base == firm else find_conversion_rate(context, tenant_id, base, firm)
        total += multiply(pnl, rate or ZERO)
    return total


def load_firm_profits(context: BatchContext, tenant_id: int) -> None:
    """Load the P&L of the day of all portfolios, if a limit needs it."""
    if context.services.controls.get_firm_limits(tenant_id).firm_daily_loss is not None:
        load_firm_currency(context, tenant_id)
        _get_profits(context, tenant_id)


def _get_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    read = partial(_read_profits, context, tenant_id)
    return context.services.firm_profits.get(tenant_id, "", context.now, read)


def _read_profits(context: BatchContext, tenant_id: int) -> dict[str, Decimal]:
    connection, market = context.connection, context.services.market
    rows = list_portfolio_cash(connection, tenant_id)
    positions = list_positions_to_value(connection, PositionRow.__table__.c.tenant_id == tenant_id)
    exposures = value_positions(connection, market.load_marks, positions, context.now)
    ids = [row.portfolio_id for row in rows]
    baselines = context.services.read_loss_baselines(connection, tenant_id, ids)
    profits: dict[str, Decimal] = {}
    for row in rows:
        net = exposures.get(PortfolioKey(tenant_id, row.portfolio_id), NO_EXPOSURE).net
        pnl = row.cash + net - baselines[row.portfolio_id].day_equity
        profits[row.base_currency] = profits.get(row.base_currency, ZERO) + pnl
    return profits
