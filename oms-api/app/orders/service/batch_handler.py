"""Process batches of trades and orders: one batch is one transaction, its commands in order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import cast

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import OmsError
from app.group_commit import BatchResult, Retained
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import ActionKind
from app.ledger.service.books import PortfolioState
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Recorded, RecordTrade, ReverseTrade
from app.ledger.service.recording import Recording, outcome_of, record_all
from app.market_data.queries import build_matched_write, build_quote_writes, lock_quotes
from app.orders.errors import PreviousQuoteUnmatched
from app.orders.rules.values import OrderKey
from app.orders.service.approval_decisions import decide, expire_requests, request_override
from app.orders.service.approval_review import review
from app.orders.service.batch_context import BatchContext, BatchServices
from app.orders.service.busts import bust_execution
from app.orders.service.commands import (
    MAX_EXPIRIES,
    ApplyCorporateAction,
    ApprovalCommand,
    BrokerReport,
    BustExecution,
    CancelAll,
    CancelHalted,
    CancelInPortfolio,
    CancelOrder,
    CheckLosses,
    ClosePosition,
    Command,
    CorrectExecution,
    DecideApproval,
    Done,
    ExpireOrders,
    InternalCommand,
    OrderCommand,
    Outcome,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    QuoteArrived,
    QuoteMatched,
    QuoteStored,
    ReleaseOrders,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    SquareOff,
    TimeOrPriceCommand,
)
from app.orders.service.corporate_actions import apply_corporate_action
from app.orders.service.corrections import correct_execution
from app.orders.service.execution_reports import apply_execution_report
from app.orders.service.halts import cancel_halted, list_halted
from app.orders.service.instrument_names import resolve_aliases
from app.orders.service.loss_limits import check_losses
from app.orders.service.lost_commit import build_commit_check
from app.orders.service.order_changes import (
    cancel_all,
    cancel_in_portfolio,
    cancel_one,
    expire,
    expire_one,
    replace_order,
)
from app.orders.service.order_entry import place, place_group
from app.orders.service.order_metrics import count_changes, count_trades
from app.orders.service.plan import Plan, plan_for, symbols_of
from app.orders.service.position_closes import close
from app.orders.service.position_exits import set_exits
from app.orders.service.previewing import preview
from app.orders.service.quote_processing import (
    find_portfolios_to_match,
    match_before_trades,
    match_unmatched_quotes,
    process_quote,
)
from app.orders.service.repeats import plan_repeat_checks
from app.orders.service.session_release import release_orders
from app.orders.service.signal_orders import begin_signals
from app.orders.service.square_off import square_off
from app.orders.service.trade_effects import apply_trade_to_orders, apply_trades_to_orders
from app.orders.service.trade_guard import get_working_quantity

NOTHING = Done(())
_EXPIRING = (CancelOrder, ReplaceOrder, DecideApproval)  # these look at the order as of now


class OrderBatchHandler:
    """Handler of group commit for the ledger and the orders. One instance belongs to one writer thread."""

    def __init__(self, recording: Recording, services: BatchServices) -> None:
        self._recording = recording
        self._services = services

    def handle(
        self, connection: Connection, commands: Sequence[Command], retained: Retained
    ) -> BatchResult[Outcome]:
        """Process the commands in order; see `group_commit.Handler`. `retained` are their message counts."""
        try:
            if all(isinstance(command, (RecordTrade, ReverseTrade)) for command in commands):
                recorded = self._record(connection, cast("Sequence[LedgerCommand]", commands))
                return cast("BatchResult[Outcome]", recorded)
            return self._mixed(connection, commands, retained)
        except Exception:
            self._recording.forget()
            raise

    def _record(self, connection: Connection, commands: Sequence[LedgerCommand]) -> BatchResult[Recorded]:
        """Process a batch that has only trades, which needs neither quotes nor risk checks."""
        batch = self._recording.batch(connection, commands)
        batch.load()
        match_before_trades(self._services, batch, max(map(_get_time, commands)))
        result = record_all(batch, commands)
        update_caches = apply_trades_to_orders(self._services, batch, result.outcomes)

        def act() -> None:
            update_caches()
            count_trades(self._services.metrics, result.outcomes)

        return replace(result, on_commit=act)

    def _mixed(
        self, connection: Connection, commands: Sequence[Command], messages: Retained
    ) -> BatchResult[Outcome]:
        identities = [id(command) for command in commands]  # keys of their message counts
        context, plan, commands = self._load_context(connection, commands, messages)
        changed_quotes = {key for key in map(_find_changed_quote, commands) if key is not None}
        plan.blocked = lock_quotes(connection, sorted(changed_quotes))
        match_unmatched_quotes(context)
        outcomes = [_outcome(context, plan, *one) for one in zip(commands, identities, strict=True)]
        arrived = [
            (command.tenant_id, command.quote)
            for command, outcome in zip(commands, outcomes, strict=True)
            if isinstance(command, QuoteArrived) and command.is_new and not isinstance(outcome, OmsError)
        ]
        context.writes += build_quote_writes(arrived, plan.unmatched) if arrived else []
        context.writes += context.signals.list_writes() if context.signals else []
        is_recorded = build_commit_check(context, outcomes, arrived)
        context.flush()
        return BatchResult(outcomes, is_recorded, on_commit=self._create_commit_action(context, outcomes))

    def _create_commit_action(self, context: BatchContext, outcomes: Sequence[object]) -> Callable[[], None]:
        """Return what follows the commit: cache the written state, wake sessions, and count the changes."""
        update_caches = context.create_cache_update()

        def act() -> None:
            update_caches()
            if context.has_requests:
                self._services.outgoing.notify()
            if context.lane_orders:
                self._services.outgoing.deliver(context.lane_orders)
            count_changes(self._services.metrics, context.order_store)
            count_trades(self._services.metrics, outcomes)
            if context.signals:
                context.signals.count_committed()

        return act

    def _load_context(
        self, connection: Connection, commands: Sequence[Command], messages: Retained
    ) -> tuple[BatchContext, Plan, Sequence[Command]]:
        """Lock and load what the commands need. Return the commands with aliases replaced by symbols."""
        tenants = set(map(_tenant, commands))
        set_tenant_scope(connection, tenants)
        signals, commands = begin_signals(self._services.signals, connection, commands)
        ledger = [command for command in commands if isinstance(command, (RecordTrade, ReverseTrade))]
        orders = [command for command in commands if not isinstance(command, (RecordTrade, ReverseTrade))]
        plan = plan_for(connection, orders)
        batch = self._recording.batch(connection, ledger, plan.names, plan.portfolio_keys, tenants)
        batch.load()
        commands = resolve_aliases(connection, commands)  # after locking: see `is_symbol_in_use`
        context = BatchContext(batch, self._services, max(map(_get_time, commands)), messages)
        context.signals = signals
        if signals is not None:
            signals.load(connection)
        plan.portfolio_keys |= batch.list_named_portfolios()
        if ledger:
            plan.portfolio_keys |= find_portfolios_to_match(batch)
        context.load(plan.portfolio_keys, symbols_of(commands))
        batch.held_back = partial(_held_back, context)
        context.index_request_keys(plan.recorded_orders)
        plan_repeat_checks(context, commands)
        return context, plan, commands


def _find_changed_quote(command: Command) -> InstrumentKey | None:
    """Return the instrument whose stored quote a command may change, None if it changes none."""
    match command:
        case QuoteArrived(is_new=True) | QuoteMatched():
            return command.instrument_key
        case ApplyCorporateAction(action=action) if action.kind is ActionKind.SPLIT:
            return InstrumentKey(action.tenant_id, action.symbol)
        case _:
            return None


def _held_back(
    context: BatchContext, portfolio: PortfolioState, command: RecordTrade, held: Decimal
) -> Decimal:
    """Return the quantity of a position that working orders reserve, as this batch sees them."""
    portfolio_key = portfolio.key
    if portfolio_key in context.order_store.portfolio_keys:
        return get_working_quantity(context.order_store.open_of(portfolio_key, command.symbol), command, held)
    return context.batch.guard.held_back(context.connection, portfolio, command, held)


def _outcome(context: BatchContext, plan: Plan, command: Command, identity: int) -> Outcome | OmsError:
    """Return the outcome of one command. An expired order expires first, whatever the command is."""
    context.begin(identity, None if isinstance(command, InternalCommand) else command.origin.request_id)
    if isinstance(command, _EXPIRING) and _is_planned(plan, command):
        expire_one(context, command.origin, command.order_id)
    return _attempt(context, plan, command)


def _attempt(context: BatchContext, plan: Plan, command: Command) -> Outcome | OmsError:
    """Return the outcome of one command, or the error that refuses it.

    A refused command must leave the batch unchanged. If it did not, the error is raised: the transaction is
    rolled back and the writer retries the other commands without it.
    """
    changes = context.changes
    if isinstance(command, (RecordTrade, ReverseTrade)):
        recorded = outcome_of(context.batch, command)
        if isinstance(recorded, Recorded):
            apply_trade_to_orders(context, recorded)
            row = recorded.row
            portfolio_key = row.portfolio_key
            context.order_store.dirty.setdefault(portfolio_key, set()).add(row.holding_key)
        return recorded
    try:
        return _done(context, plan, command)
    except OmsError as refusal:
        if context.changes != changes:
            raise
        return refusal


def _is_planned(plan: Plan, command: CancelOrder | ReplaceOrder | DecideApproval) -> bool:
    return OrderKey(command.origin.tenant_id, command.order_id) in plan.by_order


def _done(context: BatchContext, plan: Plan, command: OrderCommand) -> Outcome:  # noqa: C901, PLR0911, PLR0912  # a table of commands
    match command:
        case PlaceOrder():
            return place(context, command)
        case PlaceSignal():
            assert context.signals is not None  # noqa: S101  # for the type checker
            return context.signals.process(context, command)
        case PlaceGroup():
            return place_group(context, command)
        case CancelOrder():
            plan.require(command)
            return cancel_one(context, command)
        case ReplaceOrder():
            plan.require(command)
            return replace_order(context, command)
        case DecideApproval() | RequestOverride() | ReviewApprovals():
            return _approval(context, plan, command)
        case CancelAll():
            return cancel_all(context, command)
        case CancelInPortfolio():
            return cancel_in_portfolio(context, command)
        case ClosePosition():
            return close(context, command)
        case SetExits():
            return set_exits(context, command)
        case PreviewOrder():
            return preview(context, command)
        case BustExecution():
            plan.require(command)
            return bust_execution(context, command)
        case CorrectExecution():
            plan.require(command)
            return correct_execution(context, command)
        case ApplyCorporateAction():
            return apply_corporate_action(context, command)
        case BrokerReport():
            plan.require(command)
            return apply_execution_report(context, command)
        case _:
            return _apply(context, plan, command)


def _apply(context: BatchContext, plan: Plan, command: TimeOrPriceCommand) -> Outcome:  # noqa: C901  # a table of commands
    """Apply a command that no request caused."""
    match command:
        case QuoteArrived():
            return _process_quote(context, plan, command)
        case QuoteMatched():
            context.writes.append(build_matched_write(command.instrument_key, command.at))
        case ExpireOrders():
            expire(context, plan.overdue.get(command, []), command.at, MAX_EXPIRIES)
            expire_requests(context, plan.expired_requests.get(command.tenant_id, []), command.at)
        case ReleaseOrders():
            release_orders(context, command, plan.portfolios_of(command.tenant_id, command.symbols))
        case SquareOff():
            square_off(context, plan.intraday.get(command.tenant_id, []), command.at)
        case CheckLosses():
            check_losses(context, plan.limited.get(command.tenant_id, []), command.at)
        case CancelHalted():
            for portfolio in plan.portfolios(command.tenant_id):
                cancel_halted(context, list_halted(context, portfolio), command.at)
    return NOTHING


def _process_quote(context: BatchContext, plan: Plan, command: QuoteArrived) -> Outcome:
    key = command.instrument_key
    if command.is_new:
        if key in plan.blocked:
            raise PreviousQuoteUnmatched
        if key in plan.unmatched:
            return QuoteStored()
    found = plan.by_symbol.get(key, []) if command.portfolio_keys is None else list(command.portfolio_keys)
    process_quote(context, command, found)
    return NOTHING


def _approval(context: BatchContext, plan: Plan, command: ApprovalCommand) -> Outcome:
    if isinstance(command, ReviewApprovals):
        return review(context, command)
    plan.require(command)
    if isinstance(command, DecideApproval):
        return decide(context, command)
    return request_override(context, command)


def _tenant(command: Command) -> int:
    if isinstance(command, InternalCommand):
        return command.tenant_id
    return command.origin.tenant_id


def _get_time(command: Command) -> datetime:
    if isinstance(command, InternalCommand):
        return datetime.fromisoformat(command.at)
    return command.origin.at
