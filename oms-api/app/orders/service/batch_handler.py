"""Process batches of trades and orders. One batch is one transaction, and its commands run in order."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import OmsError
from app.group_commit import BatchResult, Retained
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import ActionKind
from app.ledger.service.books import PortfolioState
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Recorded, RecordTrade, ReverseTrade
from app.ledger.service.recording import Recording, record_all, record_command
from app.market_data.queries import build_matched_write, build_quote_writes, lock_quotes
from app.orders.service.approval_decisions import decide, expire_requests, request_override
from app.orders.service.approval_review import review
from app.orders.service.batch_context import BatchContext, BatchServices
from app.orders.service.busts import bust_execution
from app.orders.service.commands import (
    MAX_EXPIRIES,
    NOTHING,
    AdoptOrder,
    ApplyCorporateAction,
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
    Outcome,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    QuoteArrived,
    QuoteMatched,
    ReleaseOrders,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    SquareOff,
)
from app.orders.service.corporate_actions import apply_corporate_action
from app.orders.service.corrections import correct_execution
from app.orders.service.execution_reports import apply_execution_report
from app.orders.service.halts import cancel_all_halted
from app.orders.service.instrument_names import resolve_aliases
from app.orders.service.loss_limits import check_losses
from app.orders.service.lost_commit import build_commit_check
from app.orders.service.order_adoption import adopt_order
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
from app.orders.service.plan import COMMANDS_WITH_ORDER, plan_for, symbols_of
from app.orders.service.position_closes import close
from app.orders.service.position_exits import set_exits
from app.orders.service.previewing import preview
from app.orders.service.quote_processing import (
    apply_quote,
    find_portfolios_to_match,
    match_before_trades,
    match_unmatched_quotes,
)
from app.orders.service.repeats import plan_repeat_checks
from app.orders.service.session_release import release_orders
from app.orders.service.signal_orders import begin_signals
from app.orders.service.square_off import square_off
from app.orders.service.trade_effects import apply_trade_to_orders, apply_trades_to_orders
from app.orders.service.trade_guard import get_working_quantity

_COMMANDS_AFTER_EXPIRY = (
    CancelOrder,
    ReplaceOrder,
    DecideApproval,
)  # if the order is overdue, it expires before these commands run


class OrderBatchHandler:
    """Handler of group commit for the ledger and the orders. One instance belongs to one writer thread."""

    def __init__(self, recording: Recording, services: BatchServices) -> None:
        self._recording = recording
        self._services = services

    def handle(
        self, connection: Connection, commands: Sequence[Command], retained: Retained
    ) -> BatchResult[Outcome]:
        """Process the commands in order; see `group_commit.Handler`.

        `retained` counts the messages of each command. It is kept when the batch is retried."""
        try:
            if all(isinstance(command, (RecordTrade, ReverseTrade)) for command in commands):
                recorded = self._record_trades(connection, cast("Sequence[LedgerCommand]", commands))
                return cast("BatchResult[Outcome]", recorded)
            return self._process_batch(connection, commands, retained)
        except Exception:
            self._recording.forget()
            raise

    def _record_trades(
        self, connection: Connection, commands: Sequence[LedgerCommand]
    ) -> BatchResult[Recorded]:
        """Process a batch that has only trades, which needs neither quotes nor risk checks."""
        batch = self._recording.batch(connection, commands)
        batch.load()
        match_before_trades(self._services, batch, max(map(_get_time, commands)))
        result = record_all(batch, commands)
        update_caches = apply_trades_to_orders(self._services, batch, result.outcomes)

        def run_after_commit() -> None:
            update_caches()
            count_trades(self._services.metrics, result.outcomes)

        return replace(result, on_commit=run_after_commit)

    def _process_batch(
        self, connection: Connection, commands: Sequence[Command], messages: Retained
    ) -> BatchResult[Outcome]:
        identities = [id(command) for command in commands]  # by which `messages` counts
        context, commands = self._load_context(connection, commands, messages)
        plan = context.plan
        changed_quotes = {key for key in map(_find_changed_quote, commands) if key is not None}
        plan.blocked = lock_quotes(connection, sorted(changed_quotes))
        match_unmatched_quotes(context)
        outcomes = []
        for identity, command in zip(identities, commands, strict=True):
            request_id = None if isinstance(command, InternalCommand) else command.origin.request_id
            context.begin(identity, request_id)
            if isinstance(command, _COMMANDS_AFTER_EXPIRY) and plan.has_order(command):
                expire_one(context, command.origin, command.order_id)
            outcomes.append(_process(context, command))
        arrived_quotes = [
            (command.tenant_id, command.quote)
            for command, outcome in zip(commands, outcomes, strict=True)
            if isinstance(command, QuoteArrived) and command.is_new and not isinstance(outcome, OmsError)
        ]
        context.writes += build_quote_writes(arrived_quotes, plan.unmatched) if arrived_quotes else []
        context.writes += context.signals.list_writes() if context.signals else []
        is_recorded = build_commit_check(context, outcomes, arrived_quotes)
        context.flush()
        return BatchResult(outcomes, is_recorded, on_commit=self._create_commit_action(context, outcomes))

    def _create_commit_action(self, context: BatchContext, outcomes: Sequence[object]) -> Callable[[], None]:
        """Return what follows the commit: cache the written state, wake sessions, and count the changes."""
        update_caches = context.create_cache_update()

        def run_after_commit() -> None:
            update_caches()
            if context.has_requests:
                self._services.outgoing.notify()
            if context.lane_orders:
                self._services.outgoing.deliver(context.lane_orders)
            count_changes(self._services.metrics, context.order_store)
            count_trades(self._services.metrics, outcomes)
            if context.signals:
                context.signals.count_committed()

        return run_after_commit

    def _load_context(
        self, connection: Connection, commands: Sequence[Command], messages: Retained
    ) -> tuple[BatchContext, Sequence[Command]]:
        """Lock and load what the commands need. Return the commands with aliases replaced by symbols."""
        tenants = set(map(_get_tenant_id, commands))
        set_tenant_scope(connection, tenants)
        signals, commands = begin_signals(self._services.signals, connection, commands)
        ledger = [command for command in commands if isinstance(command, (RecordTrade, ReverseTrade))]
        orders = [command for command in commands if not isinstance(command, (RecordTrade, ReverseTrade))]
        plan = plan_for(connection, orders)
        batch = self._recording.batch(connection, ledger, plan.names, plan.portfolio_keys, tenants)
        batch.load()
        commands = resolve_aliases(connection, commands)  # after locking: see `is_symbol_in_use`
        context = BatchContext(batch, self._services, max(map(_get_time, commands)), plan, messages)
        context.signals = signals
        if signals is not None:
            signals.load(connection)
        plan.portfolio_keys |= batch.list_named_portfolios()
        if ledger:
            plan.portfolio_keys |= find_portfolios_to_match(batch)
        context.load(plan.portfolio_keys, symbols_of(commands))
        batch.get_reserved_quantity = partial(_get_reserved_quantity, context)
        context.index_request_keys(plan.recorded_orders)
        plan_repeat_checks(context, commands)
        return context, commands


def _find_changed_quote(command: Command) -> InstrumentKey | None:
    """Return the instrument whose stored quote a command may change, None if it changes none."""
    match command:
        case QuoteArrived(is_new=True) | QuoteMatched():
            return command.instrument_key
        case ApplyCorporateAction(action=action) if action.kind is ActionKind.SPLIT:
            return InstrumentKey(action.tenant_id, action.symbol)
        case _:
            return None


def _get_reserved_quantity(
    context: BatchContext, portfolio: PortfolioState, command: RecordTrade, held: Decimal
) -> Decimal:
    """Return the quantity of a position that working orders reserve, as this batch sees them."""
    portfolio_key = portfolio.key
    if portfolio_key in context.order_store.portfolio_keys:
        return get_working_quantity(context.order_store.open_of(portfolio_key, command.symbol), command, held)
    return context.batch.guard.get_reserved_quantity(context.connection, portfolio, command, held)


def _process(context: BatchContext, command: Command) -> Outcome | OmsError:
    """Return the outcome of one command, or the error that refuses it.

    A refused command must leave the batch unchanged. If it did not, the error is raised: the transaction is
    rolled back and the writer retries the other commands without it.
    """
    changes = context.changes
    if isinstance(command, (RecordTrade, ReverseTrade)):
        recorded = record_command(context.batch, command)
        if isinstance(recorded, Recorded):
            apply_trade_to_orders(context, recorded)
            row = recorded.row
            context.order_store.dirty.setdefault(row.portfolio_key, set()).add(row.holding_key)
        return recorded
    try:
        if isinstance(command, COMMANDS_WITH_ORDER):
            context.plan.require(command)
        return _OPERATIONS[type(command)](context, command)
    except OmsError as refusal:
        if context.changes != changes:
            raise
        return refusal


def _process_signal(context: BatchContext, command: PlaceSignal) -> Outcome:
    assert context.signals is not None  # noqa: S101  # for the type checker
    return context.signals.process(context, command)


def _expire(context: BatchContext, command: ExpireOrders) -> Done:
    expire(context, context.plan.overdue.get(command, []), command.at, MAX_EXPIRIES)
    expire_requests(context, context.plan.expired_requests.get(command.tenant_id, []), command.at)
    return NOTHING


def _finish_quote(context: BatchContext, command: QuoteMatched) -> Done:
    context.writes.append(build_matched_write(command.instrument_key, command.at))
    return NOTHING


# The function of each order command.
_OPERATIONS: dict[type[Any], Callable[[BatchContext, Any], Outcome]] = {
    PlaceOrder: place,
    PlaceSignal: _process_signal,
    PlaceGroup: place_group,
    PreviewOrder: preview,
    CancelOrder: cancel_one,
    CancelAll: cancel_all,
    CancelInPortfolio: cancel_in_portfolio,
    ReplaceOrder: replace_order,
    DecideApproval: decide,
    RequestOverride: request_override,
    ReviewApprovals: review,
    ClosePosition: close,
    SetExits: set_exits,
    AdoptOrder: adopt_order,
    BustExecution: bust_execution,
    CorrectExecution: correct_execution,
    ApplyCorporateAction: apply_corporate_action,
    BrokerReport: apply_execution_report,
    QuoteArrived: apply_quote,
    QuoteMatched: _finish_quote,
    ExpireOrders: _expire,
    ReleaseOrders: release_orders,
    SquareOff: square_off,
    CheckLosses: check_losses,
    CancelHalted: cancel_all_halted,
}


def _get_tenant_id(command: Command) -> int:
    if isinstance(command, InternalCommand):
        return command.tenant_id
    return command.origin.tenant_id


def _get_time(command: Command) -> datetime:
    if isinstance(command, InternalCommand):
        return datetime.fromisoformat(command.at)
    return command.origin.at
