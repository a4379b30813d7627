"""Bust an execution that its venue canceled: add rows to the ledger and to the executions."""

from decimal import Decimal
from typing import Any, NamedTuple

import orjson

from app.costs.rules.booked_charges import parse_components
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import TradeKey
from app.ledger.service.reversals import load_reversed_trades
from app.money import format_fixed
from app.orders.errors import AlreadyBusted, NoSuchExecution
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.execution_ids import BUST, get_bust_id
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result, find_repeated_change, list_executions
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import BustExecution, CorrectExecution, get_actor
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.contingent_orders.exit_restoration import find_reversed_reduction, restore_exits
from app.orders.service.execution.executions import find_successor
from app.orders.service.execution_changes.trade_reversal import append_reversal
from app.timestamps import format_timestamp

ExecutionChange = BustExecution | CorrectExecution


class BustedTrade(NamedTuple):
    """The trade of an execution, and the reversal of the trade."""

    original: TradeRow
    reversal: TradeRow


def bust_execution(context: BatchContext, command: BustExecution) -> OrderResult:
    """Bust an execution: reverse its trade, and reduce the filled amounts of its order.

    The order keeps its status. If it is open, the busted quantity can fill again. If the execution had
    reduced the position, the exits are restored. Raises NoSuchOrder, NoSuchExecution, AlreadyBusted,
    AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    origin = command.origin
    order, at = context.get_visible_order(origin, command.order_id), format_timestamp(origin.at)
    if find_repeated_change(context, origin, find_successor(context, order)) is not None:
        return build_result_with_exits(context, order)._replace(replayed=True)
    execution = find_execution(context, order, command.execution_id)
    original, trade = reverse_trade(context, command, execution)
    record_bust(context, order, execution, trade, command, request_key=origin.idempotency_key)
    reduce_competing_orders(context, trade, at)
    restore_exits_of_order(context, order, original, trade, f"{execution.execution_id} was busted")
    return build_result_with_exits(context, order)


def record_bust(
    context: BatchContext,
    order: Order,
    execution: ExecutionRow,
    trade: TradeRow,
    command: ExecutionChange,
    **fields: Any,
) -> Order:
    """Add the execution that reverses another one, and return the order that it counts for."""
    bust = execution._replace(
        execution_id=get_bust_id(execution.execution_id),
        quantity=_negate_amount(execution.quantity),
        value=_negate_amount(execution.value),
        trade_id=trade.trade_id,
        note=BUST,
        executed_at=trade.executed_at,
        charges=_negate_charges(execution.charges),
    )
    context.order_store.add_execution(bust)
    busted = find_successor(context, order)
    return context.order_store.record_change(
        busted,
        format_timestamp(command.origin.at),
        get_actor(command.origin),
        reason=BUST,
        broker_reason=command.reason,
        execution_id=bust.execution_id,
        filled_quantity=busted.filled_quantity + Decimal(bust.quantity),
        filled_value=busted.filled_value + Decimal(bust.value),
        **fields,
    )


def restore_exits_of_order(
    context: BatchContext, order: Order, original: TradeRow, trade: TradeRow, reason: str
) -> None:
    """Restore the exits if `trade` reversed a fill that had reduced the position."""
    reversed_reduction = find_reversed_reduction(original, trade, reason)
    if reversed_reduction is not None:
        group_id = order.group_id if order.role in EXIT_ROLES else None
        restore_exits(context, reversed_reduction._replace(group_id=group_id), trade.created_at)


def build_result_with_exits(context: BatchContext, order: Order) -> OrderResult:
    """Return the order with its legs and the other open exits of its position."""
    result = build_result(context, order.tenant_id, [order.id])
    (view,) = result.orders
    known_ids = {leg.id for leg in view.legs} | {order.id}
    exits = [
        exit_order
        for exit_order in context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        if exit_order.role in EXIT_ROLES
        and exit_order.product == order.product
        and exit_order.id not in known_ids
    ]
    return result._replace(orders=(view._replace(legs=(*view.legs, *exits)),))


def find_execution(context: BatchContext, order: Order, execution_id: str) -> ExecutionRow:
    """Return an execution of the order. Raises NoSuchExecution and AlreadyBusted."""
    executions = {row.execution_id: row for row in list_executions(context, [order])}
    if execution_id not in executions or executions[execution_id].note == BUST:
        raise NoSuchExecution(order.id, execution_id)
    bust = executions.get(get_bust_id(execution_id))
    if bust is not None and bust.note == BUST:
        raise AlreadyBusted(execution_id)
    return executions[execution_id]


def reverse_trade(context: BatchContext, command: ExecutionChange, execution: ExecutionRow) -> BustedTrade:
    """Append the reversal of the execution's trade, charges included. Return the trade and its reversal.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    original = _get_trade(context, TradeKey(execution.tenant_id, execution.trade_id))
    origin = command.origin._replace(idempotency_key=None, request_hash=None)
    return BustedTrade(original, append_reversal(context, origin, original, command.reason))


def _get_trade(context: BatchContext, trade_key: TradeKey) -> TradeRow:
    """Return the trade of an execution, which this batch may have recorded."""
    if trade_key not in context.ledger.originals:
        context.ledger.flush()
        load_reversed_trades(context.ledger, [trade_key])
    return context.ledger.originals[trade_key]


def _negate_amount(amount: str) -> str:
    return format_fixed(-Decimal(amount))


def _negate_charges(charges: str | None) -> str | None:
    if charges is None:
        return None
    return orjson.dumps(
        {name: format_fixed(-amount) for name, amount in parse_components(charges).items()}
    ).decode()
