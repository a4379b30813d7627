"""Send the exits of a position to its broker for each fill of the entry, and swap emulated pairs.

`order_pairs` describes the pairs. The broker always confirms the cancellation of the working order of an
emulated pair before the other order is sent. Both together therefore never exceed the position.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from app.brokers.rules.linked_orders import STOPS
from app.money import ZERO
from app.orders.rules.broker_requests import is_remote, is_sent_as_day_order
from app.orders.rules.contingency import (
    EXIT_ROLES,
    OCO_ROLES,
    compute_exit_quantity,
    list_latest_exits,
    list_siblings,
)
from app.orders.rules.exit_prices import fills_at_once
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, GroupKind, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.order_pairs import (
    RESIZED,
    SWAPPED_TO_LIMIT,
    SWAPPED_TO_STOP,
    find_resend_reason,
    is_sent_together,
    mark_exits_accepted_at_broker,
    waits_for_swap,
    was_cancel_requested,
    was_sent_with_entry,
)
from app.orders.service.contingent_orders.exit_quantities import trim_accepted_exits_of_entry
from app.orders.service.contingent_orders.exit_restoration import (
    add_exits,
    copy_exit,
    send_exits,
    was_ended_by_group,
)
from app.orders.service.contingent_orders.exits_sent_together import (
    apply_end_to_exits_sent_together,
    restore_exits_sent_with_entry,
)
from app.orders.service.contingent_orders.groups import (
    GROUP_ACTOR,
    cancel_order,
    get_closable_quantity,
    release_order,
)
from app.timestamps import Timestamp

_MIN_WORKING_TIME = timedelta(minutes=1)  # so that an exit that its broker cancels is not sent all the time
_RESTING_STATUSES = WORKING_STATUSES - {Status.PENDING_CANCEL, Status.PENDING_REPLACE}


def is_broker_entry(order: Order) -> bool:
    """Return whether an order is the entry of a bracket at a broker outside of this process."""
    return is_remote(order) and order.role is Role.ENTRY and order.group_kind is GroupKind.BRACKET


def protect_fill(context: BatchContext, entry: Order, quantity: Decimal, at: Timestamp) -> None:
    """Send exits for a fill of an entry: the exits that wait for the first fill, else further exits.

    An exit that a person canceled is not sent again. Exits that the broker got with the entry work there once
    the entry has filled completely. Their acceptance may be reported before all fills of the entry.
    """
    children = [
        child for child in context.order_store.list_children(entry) if child.status is not Status.DENIED
    ]
    exits_sent_with_entry = [
        child for child in children if child.status is Status.HELD and was_sent_with_entry(context, child)
    ]
    if exits_sent_with_entry:
        mark_exits_accepted_at_broker(
            context, exits_sent_with_entry if entry.status is Status.FILLED else [], at
        )
        return
    protected_quantity = compute_exit_quantity(entry, children)
    held_exits = [
        child for child in children if child.status is Status.HELD and child.group_id == entry.group_id
    ]
    if held_exits and not any(child.status in WORKING_STATUSES | FINAL_STATUSES for child in children):
        fields = {"quantity": protected_quantity, "reason": f"{entry.id} filled"}
        resized_exits = [
            context.order_store.record_change(order, at, GROUP_ACTOR, **fields) for order in held_exits
        ]
        send_exits(context, resized_exits, at)
        return
    latest = list_latest_exits(children)
    exits_to_copy = [
        exit_order
        for exit_order in latest
        if exit_order.status not in FINAL_STATUSES or was_ended_by_group(context, exit_order)
    ]
    if exits_to_copy:
        uncovered = protected_quantity - _sum_covered(children)
        add_exits(context, exits_to_copy, min(quantity, uncovered), at, f"{entry.id} filled")
    elif entry.status is Status.FILLED and all(was_sent_with_entry(context, child) for child in children):
        restore_exits_sent_with_entry(context, entry, at)


def _sum_covered(exits: Iterable[Order]) -> Decimal:
    """Return the quantity that open exits close. Both orders of a pair close the same quantity."""
    groups: dict[str, Decimal] = {}
    for exit_order in exits:
        if exit_order.status not in FINAL_STATUSES:
            name = exit_order.group_id or exit_order.id
            groups[name] = max(groups.get(name, ZERO), exit_order.leaves_quantity)
    return sum(groups.values(), ZERO)


def apply_end_at_broker(context: BatchContext, ended_order: Order, at: Timestamp) -> None:
    """Send exits again, or the other order of a pair, after an order has ended at its broker."""
    if is_broker_entry(ended_order):
        trim_accepted_exits_of_entry(context, ended_order, at)
        restore_exits_sent_with_entry(context, ended_order, at)
    if not is_remote(ended_order) or ended_order.role not in OCO_ROLES | {Role.CLOSING}:
        return
    if is_sent_together(context, ended_order) or (
        ended_order.accepted_at is None and was_sent_with_entry(context, ended_order)
    ):
        apply_end_to_exits_sent_together(context, ended_order, at)
        return
    unfilled_quantity = ended_order.quantity - ended_order.filled_quantity
    if ended_order.status is not Status.FILLED and unfilled_quantity > ZERO:
        _apply_end_to_emulated_pair(context, ended_order, unfilled_quantity, at)


def swap_pair_orders(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Swap an emulated pair if the quote has reached the price of its limit order, or has left it.

    Cancel the order that works at the broker. The other order is sent once the broker has confirmed this.
    """
    if not is_remote(order) or order.role not in OCO_ROLES or order.type in STOPS:
        return
    prices = context.find_symbol_state(order.tenant_id, order.symbol).prices
    is_reached = fills_at_once(order, prices)
    if waits_for_swap(context, order) and is_reached:
        for stop in list_siblings(
            order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        ):
            if stop.status in _RESTING_STATUSES:
                cancel_order(context, stop, at, GROUP_ACTOR, reason=SWAPPED_TO_LIMIT)
    elif order.status in _RESTING_STATUSES and not is_reached:
        previous_stop = _find_stop(context, order)
        if previous_stop is not None and find_resend_reason(context, previous_stop) == SWAPPED_TO_LIMIT:
            cancel_order(context, order, at, GROUP_ACTOR, reason=SWAPPED_TO_STOP)


def _apply_end_to_emulated_pair(
    context: BatchContext, ended_order: Order, unfilled_quantity: Decimal, at: Timestamp
) -> None:
    reason = find_resend_reason(context, ended_order)
    if reason == RESIZED or _ended_as_day_order(context, ended_order):
        _resend_order(context, ended_order, unfilled_quantity, at, is_held=reason != RESIZED)
    elif reason == SWAPPED_TO_STOP:
        stop = _find_stop(context, ended_order)
        exit_quantity = _compute_resend_quantity(context, ended_order, unfilled_quantity)
        add_exits(
            context,
            [ended_order] if stop is None else [stop, ended_order],
            exit_quantity,
            at,
            f"{ended_order.id} did not fill",
        )
    elif ended_order.status is Status.REJECTED and ended_order.role is Role.TAKE_PROFIT:
        _resend_stop(context, ended_order, unfilled_quantity, at)
    elif ended_order.role in EXIT_ROLES or reason == SWAPPED_TO_LIMIT:
        _release_emulated_limit(context, ended_order, at)


def _release_emulated_limit(context: BatchContext, ended_stop: Order, at: Timestamp) -> None:
    """Send the limit order of an emulated pair whose stop has ended.

    The quantity of a take-profit is at most the closable quantity of the position.
    """
    for sibling in list_siblings(
        ended_stop,
        context.order_store.list_open_orders_of_symbol(ended_stop.portfolio_key, ended_stop.symbol),
    ):
        if sibling.status is not Status.HELD:
            continue
        quantity = sibling.leaves_quantity
        if ended_stop.role in EXIT_ROLES:
            quantity = min(quantity, get_closable_quantity(context, ended_stop))
        if quantity:
            release_order(context, sibling, at, quantity=quantity)
        else:
            cancel_order(context, sibling, at, GROUP_ACTOR, reason="The position is closed.")


def _resend_stop(context: BatchContext, target: Order, unfilled_quantity: Decimal, at: Timestamp) -> None:
    """Send a stop again if its broker rejected, or never received, the take-profit sent in its place."""
    stop = _find_stop(context, target)
    if stop is not None and find_resend_reason(context, stop) == SWAPPED_TO_LIMIT:
        exit_quantity = _compute_resend_quantity(context, target, unfilled_quantity)
        add_exits(context, [stop], exit_quantity, at, f"{target.id} was rejected")


def _compute_resend_quantity(
    context: BatchContext, ended_order: Order, unfilled_quantity: Decimal
) -> Decimal:
    """Return the unfilled quantity of an order; of an exit, at most the closable quantity of the position."""
    if ended_order.role is Role.EITHER:
        return unfilled_quantity
    return min(unfilled_quantity, get_closable_quantity(context, ended_order))


def _resend_order(
    context: BatchContext, ended_order: Order, unfilled_quantity: Decimal, at: Timestamp, *, is_held: bool
) -> None:
    """Place an order again with its unfilled quantity, in its group, unless the other order has filled.

    If `is_held`, the new order waits for the next quote.
    """
    exit_quantity = _compute_resend_quantity(context, ended_order, unfilled_quantity)
    if not exit_quantity or _has_pair_filled(context, ended_order):
        return
    copy = copy_exit(context, ended_order, exit_quantity, at)
    successor = context.order_store.add(copy, copy.placed_by, f"Continues {ended_order.id}")
    if is_held:
        context.order_store.change_status(successor, Status.HELD, at, GROUP_ACTOR)
    else:
        release_order(context, successor, at)


def _has_pair_filled(context: BatchContext, ended_order: Order) -> bool:
    """Return whether an order of the pair has filled, and so closed the same quantity.

    Only the last exit of each role counts.
    """
    group = context.order_store.list_group(ended_order)
    exclusive_orders = [order for order in group if order.role is Role.EITHER] + list_latest_exits(group)
    return any(order.status is Status.FILLED for order in exclusive_orders)


def _ended_as_day_order(context: BatchContext, ended_order: Order) -> bool:
    """Return whether a broker ended an exit that was sent as a DAY order, though it is good till canceled."""
    if ended_order.role not in EXIT_ROLES or ended_order.status not in {Status.EXPIRED, Status.CANCELED}:
        return False
    if ended_order.accepted_at is None or was_cancel_requested(context, ended_order):
        return False
    working_time = context.now - datetime.fromisoformat(ended_order.accepted_at)
    instrument = context.find_instrument(ended_order.tenant_id, ended_order.symbol)
    return working_time >= _MIN_WORKING_TIME and is_sent_as_day_order(ended_order, instrument)


def _find_stop(context: BatchContext, order: Order) -> Order | None:
    """Return the last stop of the order's pair that was not denied, None if there is none."""
    exclusive_orders = [
        member for member in context.order_store.list_group(order) if member.role in OCO_ROLES
    ]
    stops = [order for order in exclusive_orders if order.type in STOPS and order.status is not Status.DENIED]
    return max(stops, key=lambda order: order.id, default=None)
