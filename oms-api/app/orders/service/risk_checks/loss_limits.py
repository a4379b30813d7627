"""Switch portfolios to REDUCING when their losses reach a limit, and back on the next day."""

import logging
from datetime import datetime
from decimal import Decimal

from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_state import PortfolioState
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.internal_commands import CheckLosses
from app.orders.service.risk_checks.order_estimates import sum_exposures
from app.risk.queries.losses import find_portfolios_set_by_loss_limits
from app.risk.queries.switches import (
    PortfolioTradingState,
    SwitchChange,
    list_switches,
    update_trading_states,
)
from app.risk.rules.limits import Subject
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
from app.risk.rules.values import TradingState
from app.risk.service.audit_entries import build_automatic_switch_entry
from app.risk.service.kill_switch_activation import MAX_SWITCHES, build_switch_writes
from app.timestamps import Timestamp, format_timestamp

_LOG = logging.getLogger(__name__)


def load_loss_checks(context: BatchContext, command: CheckLosses) -> None:
    """Load what the losses are measured against, and the kill switches."""
    tenant_id, loaded = command.tenant_id, context.loaded
    portfolio_keys = loaded.portfolios_with_loss_limits[tenant_id]
    if portfolio_keys and tenant_id not in loaded.switch_changes:
        ids = [portfolio_key.portfolio_id for portfolio_key in portfolio_keys]
        baselines = context.services.read_loss_baselines(context.connection, tenant_id, ids)
        loaded.loss_baselines |= {PortfolioKey(tenant_id, key): one for key, one in baselines.items()}
        changes = list_switches(context.connection, tenant_id)
        loaded.switch_changes[tenant_id] = {(change.scope, change.key): change for change in changes}
        load_portfolios_switched_by_losses(context, tenant_id)


def load_portfolios_switched_by_losses(context: BatchContext, tenant_id: int) -> set[str]:
    """Load the name keys of the portfolios that a loss limit switched today, and return them."""
    switched = context.loaded.switched_by_losses
    if tenant_id not in switched:
        since = get_day_start(context.now)
        switched[tenant_id] = find_portfolios_set_by_loss_limits(context.connection, tenant_id, since)
    return switched[tenant_id]


def check_losses(context: BatchContext, command: CheckLosses) -> OrderResult:
    """Compare the losses of a tenant's portfolios with their limits, and set their switches."""
    for portfolio_key in context.loaded.portfolios_with_loss_limits.get(command.tenant_id, []):
        baseline = context.loaded.loss_baselines.get(portfolio_key)
        if baseline is not None:
            _check(context, portfolio_key, baseline, command.at)
    return NO_ORDERS


def compute_equity(context: BatchContext, portfolio_key: PortfolioKey) -> Decimal:
    """Return cash plus the market value of the positions, in the portfolio's currency."""
    return context.ledger.get_portfolio(portfolio_key).cash + sum_exposures(context, portfolio_key).net


def _check(context: BatchContext, portfolio_key: PortfolioKey, baseline: LossBaseline, at: Timestamp) -> None:
    portfolio = context.ledger.get_portfolio(portfolio_key)
    is_live = portfolio.kind == "live"
    subject = Subject(portfolio_name_key=portfolio.name_key, symbol="", is_live=is_live)
    limits = context.services.controls.get_limits(portfolio.tenant_id, subject)
    equity = compute_equity(context, portfolio_key)
    breach = find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown)
    set_before = context.loaded.switch_changes[portfolio.tenant_id].get(_build_switch_key(portfolio))
    switch = set_before and SwitchState(set_before.state, set_before.set_by, set_before.set_at)
    was_set_today = portfolio.name_key in context.loaded.switched_by_losses[portfolio.tenant_id]
    day_start = format_timestamp(get_day_start(context.now))
    state = find_new_switch_state(breach, switch, day_start, was_set_today=was_set_today)
    if state is not None:
        _set(context, portfolio, state, breach, at)


def _build_switch_key(portfolio: PortfolioState) -> tuple[SwitchScope, str]:
    return SwitchScope.PORTFOLIO, portfolio.name_key


def _set(
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
        loaded.switched_by_losses[tenant_id].add(portfolio.name_key)
    states = {**loaded.switches[tenant_id].states, switch_key: state}
    not_active = {key: value for key, value in states.items() if value is not TradingState.ACTIVE}
    switches = loaded.switches[tenant_id] = Switches(not_active)
    row = PortfolioTradingState(portfolio.id, portfolio.name_key, portfolio.trading_state)
    context.writes += build_switch_writes(tenant_id, change)
    context.writes += update_trading_states(tenant_id, [row], switches)
    portfolio.trading_state = switches.get_state(portfolio.name_key).state.value
    context.audit_entries.append(build_automatic_switch_entry(tenant_id, datetime.fromisoformat(at), change))
