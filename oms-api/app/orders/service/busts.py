"""Bust an execution that its venue canceled: add rows to the ledger and to the executions."""

from decimal import Decimal
from typing import Any

import orjson

from app.costs.rules.booking import parse_components
from app.ledger.errors import AlreadyReversed, MixesCurrencies
from app.ledger.queries.books import load_reversals, load_trades
from app.ledger.queries.canonical import format_trade
from app.ledger.queries.corporate_actions import replay_position
from app.ledger.rules.accounting import MIXED
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import TradeKey
from app.ledger.service.commands import Origin
from app.ledger.service.recording import require_no_action
from app.ledger.service.reversals import build_reversal_entry
from app.money import format_fixed
from app.orders.errors import AlreadyBusted, NoSuchExecution
from app.orders.queries.executions import executions_of
from app.orders.rules.contingency import EXITS
from app.orders.rules.execution_verification import BUST, get_bust_id
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import BustExecution, CorrectExecution
from app.orders.service.exit_quantities import reduce_competing_orders
from app.orders.service.exit_restoration import find_reversed_reduction, restore_exits
from app.orders.service.filling import find_successor
from app.orders.service.idempotent_replay import find_repeated_change
from app.orders.service.order_changes import actor_of
from app.orders.service.order_results import build_result
from app.timestamps import format_timestamp

ExecutionChange = BustExecution | CorrectExecution


def bust_execution(context: BatchContext, command: BustExecution) -> OrderResult:
    """Take an execution back: its trade is reversed, and the order's filled amounts are reduced.

    The status of the order stays. What an open order lost is open again. Where the execution had reduced the
    position, the exits protect it again. Raises NoSuchOrder, NoSuchExecution, AlreadyBusted,
    AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    origin = command.origin
    order, at = context.order_for(origin, command.order_id), format_timestamp(origin.at)
    if find_repeated_change(context, origin, find_successor(context, order)) is not None:
        return build_answer(context, order)._replace(replayed=True)
    execution = find_execution(context, order, command.execution_id)
    original, trade = reverse_trade(context, command, execution)
    record_bust(context, order, execution, trade, command, request_key=origin.idempotency_key)
    reduce_competing_orders(context, trade, at)
    restore_exits_of(context, order, original, trade, f"{execution.execution_id} was busted")
    return build_answer(context, order)


def record_bust(
    context: BatchContext,
    order: Order,
    execution: ExecutionRow,
    trade: TradeRow,
    command: ExecutionChange,
    **facts: Any,
) -> Order:
    """Add the execution that takes another one back, and return the order that it counts for."""
    bust = execution._replace(
        execution_id=get_bust_id(execution.execution_id),
        quantity=_negate(execution.quantity),
        value=_negate(execution.value),
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
        actor_of(command.origin),
        reason=BUST,
        broker_reason=command.reason,
        execution_id=bust.execution_id,
        filled_quantity=busted.filled_quantity + Decimal(bust.quantity),
        filled_value=busted.filled_value + Decimal(bust.value),
        **facts,
    )


def restore_exits_of(
    context: BatchContext, order: Order, original: TradeRow, trade: TradeRow, reason: str
) -> None:
    """Restore the exits if `trade` reversed a fill that had reduced the position."""
    reversed_reduction = find_reversed_reduction(original, trade, reason)
    if reversed_reduction is not None:
        group_id = order.group_id if order.role in EXITS else None
        restore_exits(context, reversed_reduction._replace(group_id=group_id), trade.created_at)


def build_answer(context: BatchContext, order: Order) -> OrderResult:
    """Return the order. Its legs are those of its own and the open exits of the position."""
    done = build_result(context, order.tenant_id, [order.id])
    (view,) = done.orders
    known = {leg.id for leg in view.legs} | {order.id}
    exits = [
        one
        for one in context.order_store.open_of(order.portfolio_key, order.symbol)
        if one.role in EXITS and one.product == order.product and one.id not in known
    ]
    return done._replace(orders=(view._replace(legs=(*view.legs, *exits)),))


def find_execution(context: BatchContext, order: Order, execution_id: str) -> ExecutionRow:
    """Return an execution of the order. Raises NoSuchExecution and AlreadyBusted."""
    rows = executions_of(context.connection, order.tenant_id, [order.id])
    rows += [one for one in context.order_store.executions if one.order_id == order.id]
    found = {row.execution_id: row for row in rows}
    if execution_id not in found or found[execution_id].note == BUST:
        raise NoSuchExecution(order.id, execution_id)
    bust = found.get(get_bust_id(execution_id))
    if bust is not None and bust.note == BUST:
        raise AlreadyBusted(execution_id)
    return found[execution_id]


def reverse_trade(
    context: BatchContext, command: ExecutionChange, execution: ExecutionRow
) -> tuple[TradeRow, TradeRow]:
    """Append the reversal of the execution's trade, charges included. Return the trade and its reversal.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    context.batch.flush()  # so that the replay also reads the rows of this batch
    trade_key = TradeKey(execution.tenant_id, execution.trade_id)
    (original,) = map(format_trade, load_trades(context.connection, [trade_key]))
    origin = command.origin._replace(idempotency_key=None, request_hash=None)
    return original, append_reversal(context, origin, original, command.reason)


def append_reversal(context: BatchContext, origin: Origin, original: TradeRow, reason: str) -> TradeRow:
    """Append the reversal of a trade, and return it. The rows of the batch must be flushed.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    batch, connection, key = context.batch, context.connection, original.position_key
    undone = load_reversals(connection, [original.trade_key])
    if undone:
        raise AlreadyReversed(original.trade_id, undone[original.trade_key])
    require_no_action(batch, original)
    after = replay_position(connection, key, without=original.trade_id)
    if after.quantity and after.currency == MIXED:
        raise MixesCurrencies(original.trade_id)
    portfolio = batch.books.portfolio(original.portfolio_key)
    return batch.books.append(portfolio, origin, build_reversal_entry(original, reason), after)


def _negate(amount: str) -> str:
    return format_fixed(-Decimal(amount))


def _negate_charges(charges: str | None) -> str | None:
    if charges is None:
        return None
    return orjson.dumps(
        {name: format_fixed(-amount) for name, amount in parse_components(charges).items()}
    ).decode()
