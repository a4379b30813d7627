"""Pairs of orders at a broker. `Pairing` has the three ways in which a broker can execute a pair.

Native pair: both orders work at the broker, which reduces one when the other fills.

Orders sent together: one request contains both exits, or the entry with its exits. Exits that a broker got
with their entry exist there before the entry fills. They are HELD here until the entry has filled completely
and the broker works them.

Emulated pair: one order of the pair works at the broker at a time, and a swap exchanges the two.

| stop | limit order | event | next state |
| --- | --- | --- | --- |
| works at the broker | HELD | the quote reaches the limit | cancel of the stop requested: SWAPPED_TO_LIMIT |
| PENDING_CANCEL | HELD | the broker confirms the cancel | the limit order works at the broker |
| CANCELED | works at the broker | the quote leaves the limit | cancel requested: SWAPPED_TO_STOP |
| CANCELED | PENDING_CANCEL | the broker confirms the cancel | a new pair: the stop works, the limit is HELD |
"""

from collections.abc import Sequence

from app.brokers.rules.linked_orders import Pairing
from app.orders.rules.broker_requests import (
    SENT_WITH_ENTRY,
    can_be_sent_with_exits,
    choose_orders_sent_together,
    get_pairing,
    is_emulated_limit_order,
    is_remote,
)
from app.orders.rules.contingency import EXIT_ROLES, list_siblings
from app.orders.rules.exit_prices import sort_pairs_for_sending
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_history
from app.timestamps import Timestamp

SWAPPED_TO_LIMIT = "The market reached the other order of the pair, which is sent in its place."
SWAPPED_TO_STOP = "The market left the limit: the stop of the pair is sent in its place."
RESIZED = "The order is sent again with its new quantity."
# The reasons of cancellations after which an order is sent in the place of the canceled one.
RESEND_REASONS = frozenset({SWAPPED_TO_LIMIT, SWAPPED_TO_STOP, RESIZED})
_ENTRY_FILLED = "The entry filled. The exit is now working at the broker."


def list_orders_sent_together(context: BatchContext, order: Order) -> list[Order]:
    """Return the other orders that are sent in the request of a new order."""
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    if not is_remote(order) or order.group_id is None:
        return []
    if can_be_sent_with_exits(order, instrument):
        return choose_orders_sent_together(order, context.order_store.list_children(order), instrument)
    return choose_orders_sent_together(order, context.order_store.list_group(order), instrument)


def is_sent_with_take_profit(context: BatchContext, order: Order) -> bool:
    """Return whether a stop-loss is sent in the request of the take-profit of its pair."""
    if order.role is not Role.STOP_LOSS or not is_sent_together(context, order):
        return False
    targets = [member for member in context.order_store.list_group(order) if member.role is Role.TAKE_PROFIT]
    return any(order in list_orders_sent_together(context, target) for target in targets)


def is_sent_together(context: BatchContext, order: Order) -> bool:
    """Return whether an order and the other exit of its pair are sent in one request."""
    if not is_remote(order) or order.role not in EXIT_ROLES:
        return False
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    return get_pairing(order, instrument) is Pairing.TOGETHER


def mark_sent_with_entry(context: BatchContext, exits: Sequence[Order], at: Timestamp, actor: str) -> None:
    """Record that exits are sent with their entry."""
    for exit_order in exits:
        if exit_order.status is Status.HELD:
            context.order_store.record_change(exit_order, at, actor, reason=SENT_WITH_ENTRY)


def was_sent_with_entry(context: BatchContext, exit_order: Order) -> bool:
    """Return whether the broker got an exit with its entry."""
    if not is_remote(exit_order) or exit_order.role not in EXIT_ROLES:
        return False
    return any(event.reason == SENT_WITH_ENTRY for event in list_history(context, exit_order))


def find_open_entry(context: BatchContext, exit_order: Order) -> Order | None:
    """Return the open entry with which the broker holds a HELD exit, None if there is none."""
    if exit_order.status is not Status.HELD:
        return None
    entry = context.order_store.find_parent(exit_order)
    if entry is None or entry.status not in WORKING_STATUSES or not was_sent_with_entry(context, exit_order):
        return None
    return entry


def is_held_at_broker(context: BatchContext, exit_order: Order) -> bool:
    """Return whether a broker holds an exit whose entry has not filled completely, or has just ended.

    The broker reports the outcome of the exit. Do not send it separately before then.
    """
    entry = context.order_store.find_parent(exit_order)
    if exit_order.status is not Status.HELD or entry is None or not is_remote(entry):
        return False
    if entry.status in FINAL_STATUSES and not entry.filled_quantity:
        return False
    is_sent = entry.status in WORKING_STATUSES | FINAL_STATUSES
    return is_sent and was_sent_with_entry(context, exit_order)


def mark_exits_accepted_at_broker(context: BatchContext, exits: Sequence[Order], at: Timestamp) -> None:
    """Mark HELD exits as accepted at their broker, because their entry has filled."""
    for exit_order in exits:
        mark_accepted_at_broker(context, exit_order, at, exit_order.broker, reason=_ENTRY_FILLED)


def mark_accepted_at_broker(
    context: BatchContext, exit_order: Order, at: Timestamp, actor: str, reason: str | None = None
) -> Order:
    """Mark a HELD exit as accepted at its broker. Nothing is sent."""
    sent = context.order_store.change_status(exit_order, Status.SUBMITTED, at, actor, reason=reason)
    return context.order_store.change_status(sent, Status.ACCEPTED, at, actor, accepted_at=at)


def find_resend_reason(context: BatchContext, order: Order) -> str | None:
    """Return the reason of the last cancellation if an order is sent in its place, else None."""
    requests = list_cancel_requests(context, order)
    return requests[-1].reason if requests and requests[-1].reason in RESEND_REASONS else None


def was_cancel_requested(context: BatchContext, order: Order) -> bool:
    """Return whether the cancellation of an order was requested from the broker."""
    return bool(list_cancel_requests(context, order))


def must_wait_for_swap(context: BatchContext, order: Order) -> bool:
    """Return whether an order is the limit order of an emulated pair whose stop is open.

    It is HELD until a swap.
    """
    if not is_emulated_limit_order(order, context.find_instrument(order.tenant_id, order.symbol)):
        return False
    return bool(
        list_siblings(
            order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        )
    )


def waits_for_swap(context: BatchContext, order: Order) -> bool:
    """Return whether an order is HELD until the quote reaches its price and swaps the emulated pair."""
    return order.status is Status.HELD and must_wait_for_swap(context, order)


def sort_pairs(context: BatchContext, orders: Sequence[Order]) -> list[Order]:
    """Return orders of one symbol in the order of sending. Without an order at a broker, keep their order."""
    if not any(is_remote(order) for order in orders):
        return list(orders)
    prices = context.find_symbol_state(orders[0].tenant_id, orders[0].symbol).prices
    return sort_pairs_for_sending(orders, prices)


def list_cancel_requests(context: BatchContext, order: Order) -> list[OrderEvent]:
    """Return the changes in the history of an order by which its cancel was requested, oldest first.

    Changes while the cancel is pending, such as a partial fill, are left out.
    """
    history = list_history(context, order)
    return [event for event in history if event.to_status == Status.PENDING_CANCEL != event.from_status]
