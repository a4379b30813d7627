"""Exits that a broker got in one request with their entry, or with the other exit of their pair.

The exits of such an entry exist at the broker before it fills. They are HELD here until the broker works
them: once the entry has filled completely.
"""

from collections.abc import Sequence

from app.brokers.rules.linked_orders import Pairing
from app.orders.rules.broker_requests import (
    SENT_WITH_ENTRY,
    carries_exits,
    choose_linked,
    get_pairing,
    is_remote,
)
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.batch.order_records import list_history
from app.timestamps import Timestamp

_WORKED = "The entry filled. The exit is now working at the broker."


def list_linked(context: BatchContext, order: Order) -> list[Order]:
    """Return the orders that are sent in the request of a new order."""
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    if not is_remote(order) or order.group_id is None:
        return []
    if carries_exits(order, instrument):
        return choose_linked(order, context.order_store.list_children(order), instrument)
    return choose_linked(order, context.order_store.list_group(order), instrument)


def is_sent_with_pair(context: BatchContext, order: Order) -> bool:
    """Return whether a stop is sent in the request of the other exit of its pair."""
    if order.role is not Role.STOP_LOSS or not is_paired(context, order):
        return False
    targets = [member for member in context.order_store.list_group(order) if member.role is Role.TAKE_PROFIT]
    return any(order in list_linked(context, target) for target in targets)


def is_paired(context: BatchContext, order: Order) -> bool:
    """Return whether an order's broker gets it and the other exit of its pair in one request."""
    if not is_remote(order) or order.role not in EXIT_ROLES:
        return False
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    return get_pairing(order, instrument) is Pairing.TOGETHER


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
