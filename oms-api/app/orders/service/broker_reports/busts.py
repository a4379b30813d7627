"""Bust an execution that its venue canceled: add rows to the ledger and to the executions.

An adoption makes our position equal to the broker's. A fill or a bust from before it, which is booked after
it, would count twice: `reverse_adoption` reverses the adoption. Where it contained more than that, the next
comparison shows the rest.
"""

import logging
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from app.costs.rules.booked_charges import parse_components
from app.errors import Conflict
from app.ledger.errors import AlreadyReversed, MixesCurrencies
from app.ledger.queries.reversals import find_adoption
from app.ledger.rules.accounting import MIXED
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.keys import TradeKey, is_adoption_key
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.reversals import (
    build_reversal_entry,
    get_reversal_inputs,
    load_reversed_trades,
    require_no_action,
)
from app.money import format_fixed
from app.orders.errors import AlreadyBusted, NoSuchExecution
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.execution_verification import BUST, get_bust_id
from app.orders.rules.rows import ExecutionRow
from app.orders.rules.values import Order
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import build_result, find_repeated_change, list_executions
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import BustExecution, CorrectExecution, get_actor
from app.orders.service.contingent_orders.exit_quantities import reduce_competing_orders
from app.orders.service.contingent_orders.exit_restoration import find_reversed_reduction, restore_exits
from app.orders.service.execution.executions import find_successor
from app.timestamps import Timestamp, format_timestamp

ExecutionChange = BustExecution | CorrectExecution


def bust_execution(context: BatchContext, command: BustExecution) -> OrderResult:
    """Take an execution back: its trade is reversed, and the order's filled amounts are reduced.

    The status of the order stays. The busted quantity of an open order is open again. Where the execution had
    reduced the position, the exits protect it again. Raises NoSuchOrder, NoSuchExecution, AlreadyBusted,
    AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    origin = command.origin
    order, at = context.get_visible_order(origin, command.order_id), format_timestamp(origin.at)
    if find_repeated_change(context, origin, find_successor(context, order)) is not None:
        return build_answer(context, order)._replace(replayed=True)
    execution = find_execution(context, order, command.execution_id)
    original, trade = reverse_trade(context, command, execution)
    record_bust(context, order, execution, trade, command, request_key=origin.idempotency_key)
    reduce_competing_orders(context, trade, at)
    restore_exits_of_order(context, order, original, trade, f"{execution.execution_id} was busted")
    return build_answer(context, order)


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


def build_answer(context: BatchContext, order: Order) -> OrderResult:
    """Return the order. Its legs are those of its own and the open exits of the position."""
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


def reverse_trade(
    context: BatchContext, command: ExecutionChange, execution: ExecutionRow
) -> tuple[TradeRow, TradeRow]:
    """Append the reversal of the execution's trade, charges included. Return the trade and its reversal.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    original = _get_trade(context, TradeKey(execution.tenant_id, execution.trade_id))
    origin = command.origin._replace(idempotency_key=None, request_hash=None)
    return original, append_reversal(context, origin, original, command.reason)


def _get_trade(context: BatchContext, trade_key: TradeKey) -> TradeRow:
    """Return the trade of an execution, which this batch may have recorded."""
    if trade_key not in context.ledger.originals:
        context.ledger.flush()
        load_reversed_trades(context.ledger, [trade_key])
    return context.ledger.originals[trade_key]


def append_reversal(
    context: BatchContext, origin: CommandOrigin, original: TradeRow, reason: str
) -> TradeRow:
    """Append the reversal of a loaded trade, and return it.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    batch, key = context.ledger, original.trade_key
    if key in batch.reversals:
        raise AlreadyReversed(original.trade_id, batch.reversals[key])
    inputs = get_reversal_inputs(batch, original)
    require_no_action(original, inputs)
    if inputs.after.quantity and inputs.after.currency == MIXED:
        raise MixesCurrencies(original.trade_id)
    portfolio, entry = batch.get_portfolio(original.portfolio_key), build_reversal_entry(original, reason)
    row = batch.append(portfolio, origin, entry, inputs.after)
    batch.reversals[key] = row.trade_id
    return row


def _negate_amount(amount: str) -> str:
    return format_fixed(-Decimal(amount))


def _negate_charges(charges: str | None) -> str | None:
    if charges is None:
        return None
    return orjson.dumps(
        {name: format_fixed(-amount) for name, amount in parse_components(charges).items()}
    ).decode()


_PROMPT = timedelta(seconds=2)  # no position is adopted so soon after a fill
_LOG = logging.getLogger(__name__)


def load_adoption(
    context: BatchContext, order: Order, reported_at: datetime, at: Timestamp
) -> TradeRow | None:
    """Load the adoption that contains an execution of `reported_at`, with the inputs of its reversal."""
    if not is_remote(order) or datetime.fromisoformat(at) - reported_at < _PROMPT:
        return None
    key = (order.portfolio_key, order.symbol, reported_at)
    adoptions, ledger = context.loaded.adopted_trades, context.ledger
    adoption = adoptions.get(key)
    new_keys = [row.idempotency_key for row in ledger.list_new_trades(order.position_key)]
    is_reversed = adoption is not None and adoption.trade_key in ledger.reversals
    if key not in adoptions or is_reversed or any(map(is_adoption_key, new_keys)):
        ledger.flush()  # so that the query also reads the rows of this batch
        adoption = adoptions[key] = find_adoption(context.connection, *order.portfolio_key, *key[1:])
        load_reversed_trades(ledger, [] if adoption is None else [adoption.trade_key])
    return adoption


def reverse_adoption(
    context: BatchContext, order: Order, reported_at: datetime, at: Timestamp, execution_id: str
) -> None:
    """Reverse the adoption that contained an execution, or its bust, which is booked now.

    `reported_at` is the broker's time of it. An adoption that cannot be reversed stays: the next comparison
    finds that the quantities differ.
    """
    adoption = load_adoption(context, order, reported_at, at)
    if adoption is None:
        return
    instant = datetime.fromisoformat(at)
    origin = CommandOrigin(order.tenant_id, order.broker, None, instant, None, None, order.broker)
    reason = f"The adopted position contained {execution_id}, which is booked now."
    try:
        reversal = append_reversal(context, origin, adoption, reason)
    except Conflict as error:
        _LOG.warning("the adoption %s was not reversed: %s", adoption.trade_id, error.detail)
        return
    context.order_store.positions_to_revalue.setdefault(reversal.portfolio_key, set()).add(
        reversal.symbol_product_key
    )
    reduce_competing_orders(context, reversal, at)
