"""Correct an execution that its venue corrected: a bust, and a new execution in its place."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.values import Executed
from app.errors import FieldError, Invalid
from app.ledger.rules.chain import TradeRow
from app.money import format_fixed, multiply
from app.orders.rules.execution_ids import CORRECTION, MAX_ID_LENGTH, get_bust_id, get_correction_id
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import find_repeated_change
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import CorrectExecution, get_actor
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.contingent_orders.groups import apply_fill_to_group
from app.orders.service.execution.executions import (
    FILL_OF_REJECTED_ORDER,
    OVERFILL,
    apply_execution,
    build_execution_row,
    find_anomaly,
    find_successor,
    record_trade,
)
from app.orders.service.execution_changes.busts import (
    build_result_with_exits,
    find_execution,
    record_bust,
    restore_exits_of_order,
    reverse_trade,
)
from app.timestamps import format_timestamp


class _BookedCorrection(NamedTuple):
    """The result of a correction: the original trade, the new one, and the change of the filled quantity."""

    original: TradeRow
    trade: TradeRow
    difference: Decimal


def correct_execution(context: BatchContext, command: CorrectExecution) -> OrderResult:
    """Replace an execution by an execution with another quantity or price, at the time of the original.

    Exits grow or shrink with the position. Raises Invalid, NoRate, RateUnknown, AmountTooLarge, and the
    errors of `bust_execution`.
    """
    order = context.get_visible_order(command.origin, command.order_id)
    if find_repeated_change(context, command.origin, find_successor(context, order)) is not None:
        return build_result_with_exits(context, order)._replace(replayed=True)
    execution = find_execution(context, order, command.execution_id)
    event = _build_event(command, execution)
    corrected, correction = _book_correction(context, order, execution, event, command)
    at = format_timestamp(command.origin.at)
    if correction.difference > 0:
        apply_fill_to_group(context, corrected, correction.difference, at)
    reduce_competing_orders(context, correction.trade, at, corrected)
    reason = f"{execution.execution_id} was corrected"
    restore_exits_of_order(context, order, correction.original, correction.trade, reason)
    return build_result_with_exits(context, order)


def _build_event(command: CorrectExecution, execution: ExecutionRow) -> Executed:
    """Return the execution that replaces another one. Raises Invalid."""
    quantity = command.quantity or Decimal(execution.quantity)
    price = command.price or Decimal(execution.price)
    if (format_fixed(quantity), format_fixed(price)) == (execution.quantity, execution.price):
        raise _build_field_error("quantity", "Must differ from the execution, or `price` must.", "unchanged")
    value = multiply(quantity, price)
    if not value:
        raise _build_field_error("quantity", "The value must be at least 0.00000001.", "too_small")
    correction_id = get_correction_id(execution.execution_id)
    if len(get_bust_id(correction_id)) > MAX_ID_LENGTH:
        raise _build_field_error("execution_id", "Is too long to be corrected; bust it instead.", "too_long")
    at = datetime.fromisoformat(execution.executed_at)
    return Executed(command.order_id, correction_id, quantity, price, value, at)


def _build_field_error(field: str, message: str, code: str) -> Invalid:
    return Invalid(
        "The execution cannot be corrected like this; see `errors`.", [FieldError(field, message, code)]
    )


def _book_correction(
    context: BatchContext,
    order: Order,
    execution: ExecutionRow,
    event: Executed,
    command: CorrectExecution,
) -> tuple[Order, _BookedCorrection]:
    """Book the bust and the new execution. The returned trade has the position's change by both."""
    at, actor = format_timestamp(command.origin.at), get_actor(command.origin)
    original, reversal = reverse_trade(context, command, execution)
    record_bust(context, order, execution, reversal, command)
    trade, charges = record_trade(context, order, event, at, execution.executed_at)
    anomaly = find_anomaly(order, find_successor(context, order), event)
    note = anomaly if anomaly in {OVERFILL, FILL_OF_REJECTED_ORDER} else CORRECTION
    row = build_execution_row(order, event, trade, note, charges)
    fields = {"broker_reason": command.reason, "request_key": command.origin.idempotency_key}
    corrected = apply_execution(context, order, row, at, actor, **fields)
    delta = Decimal(reversal.quantity_delta) + Decimal(trade.quantity_delta)
    net = trade._replace(quantity_delta=format_fixed(delta))
    return corrected, _BookedCorrection(original, net, event.quantity - Decimal(execution.quantity))
