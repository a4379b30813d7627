"""Pairs of exits at a broker: pairs sent in one request, and pairs of which one order rests at a time.

Exits that a broker got with their entry exist there before the entry fills. They are HELD here until the
entry has filled completely and the broker works them.
"""

from collections.abc import Sequence

from app.brokers.rules.linked_orders import OcoSupport
from app.orders.rules.broker_requests import (
    SENT_WITH_ENTRY,
    carries_exits,
    choose_linked_orders,
    get_oco_support,
    is_remote,
    is_watched,
)
from app.orders.rules.contingency import EXIT_ROLES, list_siblings
from app.orders.rules.protection import sort_pairs_for_sending
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import list_history
from app.timestamps import Timestamp

_WORKED = "The entry filled. The exit is now working at the broker."


def list_linked(context: BatchContext, order: Order) -> list[Order]:
    """Return the orders that are sent in the request of a new order."""
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    if not is_remote(order) or order.group_id is None:
        return []
    if carries_exits(order, instrument):
        return choose_linked_orders(order, context.order_store.list_children(order), instrument)
    return choose_linked_orders(order, context.order_store.list_group(order), instrument)


def is_sent_with_pair(context: BatchContext, order: Order) -> bool:
    """Return whether a stop is sent in the request of the other exit of its pair."""
    if order.role is not Role.STOP_LOSS or not is_paired(context, order):
        return False
    targets = [member for member in context.order_store.list_group(order) if member.role is Role.TAKE_PROFIT]
    return any(order in list_linked(context, target) for target in targets)


def is_paired(context: BatchContext, order: Order) -> bool:
    """Return whether an order and the other exit of its pair are sent in one request."""
    if not is_remote(order) or order.role not in EXIT_ROLES:
        return False
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    return get_oco_support(order, instrument) is OcoSupport.ONE_REQUEST


def mark_sent_with_entry(context: BatchContext, exits: Sequence[Order], at: Timestamp, actor: str) -> None:
    """Record that exits are sent with their entry."""
    for leg in exits:
        if leg.status is Status.HELD:
            context.order_store.record_change(leg, at, actor, reason=SENT_WITH_ENTRY)


def was_sent_with_entry(context: BatchContext, leg: Order) -> bool:
    """Return whether the broker got an exit with its entry."""
    if not is_remote(leg) or leg.role not in EXIT_ROLES:
        return False
    return any(event.reason == SENT_WITH_ENTRY for event in list_history(context, leg))


def find_open_entry(context: BatchContext, leg: Order) -> Order | None:
    """Return the open entry with which the broker holds a HELD exit, None if there is none."""
    if leg.status is not Status.HELD:
        return None
    entry = context.order_store.find_parent(leg)
    if entry is None or entry.status not in WORKING_STATUSES or not was_sent_with_entry(context, leg):
        return None
    return entry


def is_held_at_broker(context: BatchContext, leg: Order) -> bool:
    """Return whether a broker holds an exit whose entry has not filled completely, or has just ended.

    The broker reports the outcome of the exit. Do not send it separately before then.
    """
    entry = context.order_store.find_parent(leg)
    if leg.status is not Status.HELD or entry is None or not is_remote(entry):
        return False
    if entry.status in FINAL_STATUSES and not entry.filled_quantity:
        return False
    is_sent = entry.status in WORKING_STATUSES | FINAL_STATUSES
    return is_sent and was_sent_with_entry(context, leg)


def accept_exits_sent_with_entry(context: BatchContext, legs: Sequence[Order], at: Timestamp) -> None:
    """Mark HELD exits as accepted at their broker, because their entry has filled."""
    for leg in legs:
        release_at_broker(context, leg, at, leg.broker, reason=_WORKED)


def release_at_broker(
    context: BatchContext, leg: Order, at: Timestamp, actor: str, reason: str | None = None
) -> Order:
    """Mark a HELD exit as accepted at its broker. Nothing is sent."""
    sent = context.order_store.change_status(leg, Status.SUBMITTED, at, actor, reason=reason)
    return context.order_store.change_status(sent, Status.ACCEPTED, at, actor, accepted_at=at)


SWAPPED = "The market reached the other order of the pair, which is sent in its place."
WITHDRAWN = "The market left the limit: the stop of the pair is sent in its place."
RESIZED = "The order is sent again with its new quantity."
REASONS = frozenset({SWAPPED, WITHDRAWN, RESIZED})


def find_cancel_reason(context: BatchContext, order: Order) -> str | None:
    """Return the reason of the last cancellation if it is one of the reasons above, else None."""
    requests = list_cancel_requests(context, order)
    return requests[-1].reason if requests and requests[-1].reason in REASONS else None


def was_cancel_requested(context: BatchContext, order: Order) -> bool:
    """Return whether the cancellation of an order was requested from the broker."""
    return bool(list_cancel_requests(context, order))


def is_watched_order(context: BatchContext, order: Order) -> bool:
    """Return whether the service watches the price of an order while its sibling rests at the broker."""
    if not is_watched(order, context.find_instrument(order.tenant_id, order.symbol)):
        return False
    return bool(
        list_siblings(
            order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        )
    )


def waits_for_quote(context: BatchContext, order: Order) -> bool:
    """Return whether an order is HELD because the service watches its price."""
    return order.status is Status.HELD and is_watched_order(context, order)


def sort_pairs(context: BatchContext, orders: Sequence[Order]) -> list[Order]:
    """Return orders of one symbol in the order in which they are sent.

    Orders of the paper market are not sorted.
    """
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
