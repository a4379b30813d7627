"""Switch portfolios to REDUCING when their losses reach a limit, and back on the next day."""

import logging
from datetime import datetime
from decimal import Decimal

from app.database import execute_writes
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.portfolio_state import PortfolioState
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.internal_commands import CheckLosses
from app.orders.service.risk_checks.order_estimates import sum_exposures
from app.risk.errors import TooManySet
from app.risk.queries import losses as queries
from app.risk.queries.switches import (
    PortfolioTradingState,
    SwitchChange,
    load_switches,
    update_trading_states,
)
from app.risk.rules.limits import Subject
from app.risk.rules.losses import (
    LOSS_LIMIT_ACTOR,
    NEW_DAY_REASON,
    Breach,
    LossBaseline,
    describe_breach,
    find_breach,
    find_new_switch_state,
    get_day_start,
)
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState
from app.risk.service.audit_entries import build_automatic_switch_entry
from app.risk.service.kill_switch_activation import set_state
from app.timestamps import Timestamp, format_timestamp

_LOG = logging.getLogger(__name__)


def check_losses(context: BatchContext, command: CheckLosses) -> OrderResult:
    """Compare the losses of a tenant's portfolios with their limits, and set their switches."""
    tenant_id = command.tenant_id
    portfolio_keys = context.loaded.portfolios_with_loss_limits.get(tenant_id)
    if not portfolio_keys:
        return NO_ORDERS
    ids = [portfolio_key.portfolio_id for portfolio_key in portfolio_keys]
    baselines = context.services.read_loss_baselines(context.connection, tenant_id, ids)
    for portfolio_key in portfolio_keys:
        baseline = baselines.get(portfolio_key.portfolio_id)
        if baseline is not None:
            _check(context, portfolio_key, baseline, command.at)
    return NO_ORDERS


def compute_equity(context: BatchContext, portfolio_key: PortfolioKey) -> Decimal:
    """Return cash plus the market value of the positions, in the portfolio's currency."""
    return context.ledger.get_portfolio(portfolio_key).cash + sum_exposures(context, portfolio_key).net


def _check(context: BatchContext, portfolio_key: PortfolioKey, baseline: LossBaseline, at: Timestamp) -> None:
    portfolio, connection = context.ledger.get_portfolio(portfolio_key), context.connection
    is_live = portfolio.kind == "live"
    subject = Subject(portfolio_name_key=portfolio.name_key, symbol="", is_live=is_live)
    limits = context.services.controls.get_limits(portfolio.tenant_id, subject)
    equity = compute_equity(context, portfolio_key)
    breach = find_breach(equity, baseline, limits.max_daily_loss, limits.max_drawdown)
    switch = queries.find_switch(connection, portfolio.tenant_id, portfolio.name_key)
    if breach is None and switch is None:
        return
    day_start = get_day_start(datetime.fromisoformat(at))
    was_set_today = queries.was_set_by_loss_limit(
        connection, portfolio.tenant_id, portfolio.name_key, day_start
    )
    state = find_new_switch_state(breach, switch, format_timestamp(day_start), was_set_today=was_set_today)
    if state is not None:
        _set(context, portfolio, state, breach, at)


def _set(
    context: BatchContext,
    portfolio: PortfolioState,
    state: TradingState,
    breach: Breach | None,
    at: Timestamp,
) -> None:
    """Set the portfolio's kill switch, under its lock, with the event and the audit entry."""
    tenant_id, key = portfolio.tenant_id, portfolio.name_key
    reason = NEW_DAY_REASON if breach is None else describe_breach(breach)
    change = SwitchChange(SwitchScope.PORTFOLIO, key, portfolio.name, state, reason, LOSS_LIMIT_ACTOR, at)
    try:
        set_state(context.connection, tenant_id, change)
    except TooManySet as error:
        _LOG.error(
            "cannot set the kill switch of portfolio %s, whose losses exceed a limit: %s",
            portfolio.id,
            error.detail,
        )
        return
    switches = load_switches(context.connection, [tenant_id])[tenant_id]
    row = PortfolioTradingState(portfolio.id, key, portfolio.trading_state)
    execute_writes(context.connection, *update_trading_states(tenant_id, [row], switches))
    portfolio.trading_state = switches.get_state(key).state.value
    context.audit_entries.append(build_automatic_switch_entry(tenant_id, datetime.fromisoformat(at), change))
