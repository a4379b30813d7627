"""Call the function of each command of a batch. It changes the loaded state, or refuses the command."""

from collections.abc import Callable, Sequence
from typing import Any

from app.errors import OmsError
from app.ledger.service.batch_handler import record_command
from app.ledger.service.commands import LedgerCommand, RecordedTrade, RecordTrade, ReverseTrade
from app.market_data.queries import build_matched_write
from app.orders.service.approval.approval_decisions import decide_approval, expire_requests, request_override
from app.orders.service.approval.approval_review import review_approvals
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker_reports.execution_reports import apply_execution_report
from app.orders.service.changes.order_cancels import cancel_all, cancel_in_portfolio, cancel_requested_order
from app.orders.service.changes.order_expiry import expire_order, expire_orders
from app.orders.service.changes.order_previews import preview_order
from app.orders.service.changes.order_replacements import replace_order
from app.orders.service.changes.position_closes import close_position
from app.orders.service.changes.position_exits import set_exits
from app.orders.service.command_results import NO_ORDERS, OrderResult, Outcome
from app.orders.service.commands import (
    AdoptOrder,
    ApplyCorporateAction,
    BustExecution,
    CancelAll,
    CancelInPortfolio,
    CancelOrder,
    ClosePosition,
    CommandNamingOrder,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PlaceSignal,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    WriterCommand,
)
from app.orders.service.contingent_orders.halts import cancel_orders_forbidden_by_halt
from app.orders.service.execution.exit_reduction import reduce_exits_after_trade
from app.orders.service.execution.placement import adopt_order, place_group, place_order
from app.orders.service.execution_changes.busts import bust_execution
from app.orders.service.execution_changes.corrections import correct_execution
from app.orders.service.internal_commands import (
    MAX_EXPIRIES,
    ApplyBrokerReport,
    CancelHalted,
    CheckLosses,
    ExpireOrders,
    FinishQuote,
    InternalCommand,
    MatchQuote,
    ReleaseOrders,
    SquareOff,
)
from app.orders.service.market_events.corporate_actions import apply_corporate_action
from app.orders.service.market_events.quote_processing import apply_quote
from app.orders.service.market_events.session_events import close_intraday_positions, release_orders
from app.orders.service.risk_checks.loss_limits import check_losses

# If the order is overdue, it expires before these commands run.
_COMMANDS_AFTER_EXPIRY = (CancelOrder, ReplaceOrder, DecideApproval)


def dispatch_all(
    context: BatchContext, commands: Sequence[WriterCommand], command_ids: Sequence[int]
) -> list[Outcome | OmsError]:
    """Return the outcomes of the commands, in their order.

    Messages are counted by `command_ids`, which stay the same if the batch is retried.
    """
    outcomes = []
    for command_id, command in zip(command_ids, commands, strict=True):
        request_id = None if isinstance(command, InternalCommand) else command.origin.request_id
        context.begin_command(command_id, request_id)
        if isinstance(command, _COMMANDS_AFTER_EXPIRY) and context.loaded.has_order(command):
            expire_order(context, command.origin, command.order_id)
        outcomes.append(dispatch_command(context, command))
    return outcomes


def dispatch_command(context: BatchContext, command: WriterCommand) -> Outcome | OmsError:
    """Return the outcome of one command, or the error that refuses it.

    A refused command must leave the batch unchanged. If it did not, the error is raised: the transaction is
    rolled back and the writer retries the other commands without it.
    """
    change_count = context.change_count
    try:
        if isinstance(command, CommandNamingOrder):
            context.loaded.require_order(command)
        return _COMMAND_HANDLERS[type(command)](context, command)
    except OmsError as error:
        if context.change_count != change_count:
            raise
        return error


def _record_trade(context: BatchContext, command: LedgerCommand) -> RecordedTrade | OmsError:
    outcome = record_command(context.ledger, command)
    if isinstance(outcome, RecordedTrade):
        reduce_exits_after_trade(context, outcome)
        row = outcome.row
        context.order_store.positions_to_revalue.setdefault(row.portfolio_key, set()).add(
            row.symbol_product_key
        )
    return outcome


def _process_signal(context: BatchContext, command: PlaceSignal) -> Outcome:
    assert context.signals is not None  # noqa: S101  # for the type checker
    return context.signals.process(context, command)


def _expire(context: BatchContext, command: ExpireOrders) -> OrderResult:
    expire_orders(
        context, context.loaded.portfolios_with_overdue_orders.get(command, []), command.at, MAX_EXPIRIES
    )
    expire_requests(context, context.loaded.expired_requests.get(command.tenant_id, []), command.at)
    return NO_ORDERS


def _finish_quote(context: BatchContext, command: FinishQuote) -> OrderResult:
    context.extra_writes.append(build_matched_write(command.instrument_key, command.at))
    return NO_ORDERS


# The function of each command.
_COMMAND_HANDLERS: dict[type[Any], Callable[[BatchContext, Any], Outcome | OmsError]] = {
    RecordTrade: _record_trade,
    ReverseTrade: _record_trade,
    PlaceOrder: place_order,
    PlaceSignal: _process_signal,
    PlaceGroup: place_group,
    PreviewOrder: preview_order,
    CancelOrder: cancel_requested_order,
    CancelAll: cancel_all,
    CancelInPortfolio: cancel_in_portfolio,
    ReplaceOrder: replace_order,
    DecideApproval: decide_approval,
    RequestOverride: request_override,
    ReviewApprovals: review_approvals,
    ClosePosition: close_position,
    SetExits: set_exits,
    AdoptOrder: adopt_order,
    BustExecution: bust_execution,
    CorrectExecution: correct_execution,
    ApplyCorporateAction: apply_corporate_action,
    ApplyBrokerReport: apply_execution_report,
    MatchQuote: apply_quote,
    FinishQuote: _finish_quote,
    ExpireOrders: _expire,
    ReleaseOrders: release_orders,
    SquareOff: close_intraday_positions,
    CheckLosses: check_losses,
    CancelHalted: cancel_orders_forbidden_by_halt,
}
