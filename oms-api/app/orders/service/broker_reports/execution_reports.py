"""Apply execution reports of a broker. Each execution counts once, whatever the order's status."""

from datetime import datetime
from typing import Any

from app.brokers.rules.values import (
    Accepted,
    BrokerEvent,
    Busted,
    Canceled,
    CancelRejected,
    Charged,
    Executed,
    Expired,
    Rejected,
    Replaced,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)
from app.costs.errors import RateUnknown
from app.errors import Conflict, NotFound
from app.ledger.errors import AmountTooLarge, NoRate
from app.ledger.service.commands import CommandOrigin
from app.orders.errors import InvalidTransition
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.rows import ExecutionKey
from app.orders.rules.states import get_resting_status
from app.orders.rules.values import FINAL_STATUSES, PENDING_STATUSES, Order, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import (
    build_result,
    find_executed_order,
    find_order_of_execution,
)
from app.orders.service.broker.order_pairs import mark_accepted_at_broker
from app.orders.service.broker_reports.broker_charges import book_broker_charges, refund_broker_charges
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import BustExecution
from app.orders.service.contingent_orders.broker_exits import apply_end_at_broker
from app.orders.service.contingent_orders.exit_quantities import trim_accepted_exit
from app.orders.service.contingent_orders.groups import finalize_order
from app.orders.service.contingent_orders.replacement_confirmation import confirm_replacement
from app.orders.service.execution.executions import record_execution
from app.orders.service.execution.matching import match_released_orders
from app.orders.service.execution_changes.adoption_reversal import reverse_adoption
from app.orders.service.execution_changes.busts import bust_execution
from app.orders.service.internal_commands import ApplyBrokerReport
from app.orders.service.risk_checks.risk_evaluation import count_execution_for_latch
from app.timestamps import Timestamp

_STATUSES_BY_END: dict[type[BrokerEvent], Status] = {
    Canceled: Status.CANCELED,
    Expired: Status.EXPIRED,
    UnfilledCanceled: Status.CANCELED,
    Rejected: Status.REJECTED,
    Replaced: Status.REPLACED,
}
_STATUSES_AFTER_ACCEPTANCE = frozenset(Status) - {
    Status.INITIALIZED,
    Status.AWAITING_APPROVAL,
    Status.HELD,
    Status.SUBMITTED,
}
_LATE_ACCEPTANCE_REASON = "The broker accepted the order while a request for it was pending."


def apply_execution_report(context: BatchContext, command: ApplyBrokerReport) -> OrderResult:
    """Apply a broker's event.

    An event that was applied before changes nothing. If the table of states does not allow the event, or its
    amounts cannot be booked, only a note in the history records it.
    """
    order = context.order_store.get(command.tenant_id, command.order_id)
    if not _is_known(context, order, command.event):
        try:
            _apply_event(context, order, command)
            match_released_orders(context, command.at)
        except (InvalidTransition, AmountTooLarge, NoRate, RateUnknown) as error:
            message = f"{type(command.event).__name__}: {error.detail}"
            context.order_store.record_change(
                order, command.at, order.broker, reason="not applied", broker_reason=message
            )
    return build_result(context, order.tenant_id, [order.id])


def _is_known(context: BatchContext, order: Order, event: BrokerEvent) -> bool:
    """Return whether the event was applied before. Brokers report again after a lost connection."""
    match event:
        case Executed():
            return (
                find_executed_order(context, ExecutionKey(order.tenant_id, order.broker, event.execution_id))
                is not None
            )
        case Accepted():
            return (
                order.accepted_at is not None or order.status in _STATUSES_AFTER_ACCEPTANCE - PENDING_STATUSES
            )
        case Triggered():
            return order.is_triggered
        case CancelRejected():
            return is_remote(order) and order.status in FINAL_STATUSES  # its end was reported first
        case _:
            return order.status is _STATUSES_BY_END.get(type(event))


def _apply_event(context: BatchContext, order: Order, command: ApplyBrokerReport) -> None:  # noqa: C901  # a table of events
    at, event = command.at, command.event
    match event:
        case Executed():
            _record_execution(context, order, event, at)
        case Accepted():
            _accept_order(context, order, at)
        case Triggered():
            _trigger_order(context, order, at)
        case TrailMoved():
            context.order_store.update_fields(order, trail_level=event.level)
        case Canceled():
            _finalize(context, order, Status.CANCELED, at)
        case Expired():
            _finalize(context, order, Status.EXPIRED, at)
        case UnfilledCanceled():
            _finalize(context, order, Status.CANCELED, at, broker_reason=event.reason)
        case Rejected():
            _finalize(context, order, Status.REJECTED, at, broker_reason=event.reason)
        case CancelRejected():
            _resume_order(context, order, event.reason, at)
        case Replaced():
            confirm_replacement(context, order, event, at)
        case Busted():
            _reverse_execution(context, order, event, at)
            reverse_adoption(context, order, event.at, at, event.execution_id)
        case Charged():
            _book_charges(context, order, event, at)


def _record_execution(context: BatchContext, order: Order, event: Executed, at: Timestamp) -> None:
    if order.status is Status.HELD:  # the broker works it, and has not reported its acceptance yet
        order = mark_accepted_at_broker(context, order, at, order.broker)
    record_execution(context, order, event, at)
    reverse_adoption(context, order, event.at, at, event.execution_id)
    count_execution_for_latch(context, order, at)


def _finalize(context: BatchContext, order: Order, to: Status, at: Timestamp, **fields: Any) -> None:
    if to is Status.REJECTED and order.status is Status.HELD:  # an exit that the broker got with its entry
        order = context.order_store.change_status(order, Status.SUBMITTED, at, order.broker)
    ended_order = finalize_order(context, order, to, at, order.broker, **fields)
    apply_end_at_broker(context, ended_order, at)


def _accept_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    if order.status in PENDING_STATUSES:  # it was requested before the acceptance arrived
        context.order_store.record_change(
            order, at, order.broker, reason=_LATE_ACCEPTANCE_REASON, accepted_at=at
        )
    elif order.status is Status.HELD:  # an exit that the broker got with its entry
        trim_accepted_exit(context, mark_accepted_at_broker(context, order, at, order.broker), at)
    else:
        context.order_store.change_status(order, Status.ACCEPTED, at, order.broker, accepted_at=at)


def _trigger_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    if order.status in PENDING_STATUSES:
        context.order_store.update_fields(order, is_triggered=True)
    else:
        context.order_store.change_status(order, Status.TRIGGERED, at, order.broker, is_triggered=True)


def _resume_order(context: BatchContext, order: Order, reason: str, at: Timestamp) -> None:
    """Return the order to its status before a request that the broker refused."""
    if order.status not in PENDING_STATUSES:
        raise InvalidTransition(order.id, order.status, "a refused request")
    is_accepted = order.accepted_at is not None
    resting_status = get_resting_status(
        order.filled_quantity, is_triggered=order.is_triggered, is_accepted=is_accepted
    )
    context.order_store.change_status(order, resting_status, at, order.broker, broker_reason=reason)


def _book_charges(context: BatchContext, order: Order, event: Charged, at: Timestamp) -> None:
    """Book the broker's charges. Raises InvalidTransition if the execution is not booked, or was reversed."""
    order = find_order_of_execution(context, order, event.execution_id)
    try:
        book_broker_charges(context, order, event, at)
    except (NotFound, Conflict) as error:
        raise InvalidTransition(order.id, order.status, f"a charge: {error.detail}") from None


def _reverse_execution(context: BatchContext, order: Order, event: Busted, at: Timestamp) -> None:
    """Reverse an execution that the broker reversed. Raises InvalidTransition if it is not booked."""
    order = find_order_of_execution(context, order, event.execution_id)
    origin = CommandOrigin(
        tenant_id=order.tenant_id,
        source=order.broker,
        user_label=None,
        at=datetime.fromisoformat(at),
        idempotency_key=None,
        request_hash=None,
        actor=order.broker,
    )
    change_count = context.change_count
    try:
        bust_execution(context, BustExecution(origin, order.id, event.execution_id, event.reason))
        refund_broker_charges(context, order, event.execution_id, at)
    except (NotFound, Conflict) as error:
        if context.change_count != change_count:
            raise
        raise InvalidTransition(order.id, order.status, f"a bust: {error.detail}") from None
