"""Keep the exits of a position at a broker: for every fill of its entry, at the right size, one at a time.

A broker works a pair of exits itself (an OCA group), or the pair is emulated: the stop rests at the broker,
the take-profit is HELD here, and quotes at its price exchange the two. The broker always confirms the
cancellation of the resting order before the other order is sent, so that both together never exceed the
position.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from app.brokers.rules.linked_orders import STOPS
from app.money import ZERO
from app.orders.rules.broker_requests import is_remote, is_sent_for_a_day
from app.orders.rules.contingency import (
    EXIT_ROLES,
    OCO_ROLES,
    compute_exit_quantity,
    list_latest_exits,
    list_siblings,
)
from app.orders.rules.protection import fills_at_once
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, GroupKind, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.linked_exits import (
    RESIZED,
    SWAPPED,
    WITHDRAWN,
    accept_exits_sent_with_entry,
    find_cancel_reason,
    is_paired,
    waits_for_quote,
    was_cancel_requested,
    was_sent_with_entry,
)
from app.orders.service.contingent_orders.exit_quantities import trim_kept_exits
from app.orders.service.contingent_orders.exit_restoration import (
    add_exits,
    copy_exit,
    send_exits,
    was_ended_by_group,
)
from app.orders.service.contingent_orders.groups import (
    GROUPS,
    cancel_order,
    get_closable_quantity,
    release_order,
)
from app.orders.service.contingent_orders.linked_pairs import continue_linked, restore_exits_sent_with_entry
from app.timestamps import Timestamp

_MIN_TIME = timedelta(minutes=1)  # of work, so that an exit that its broker cancels is not sent all the time
_RESTING = WORKING_STATUSES - {Status.PENDING_CANCEL, Status.PENDING_REPLACE}


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
    sent_legs = [
        child for child in children if child.status is Status.HELD and was_sent_with_entry(context, child)
    ]
    if sent_legs:
        accept_exits_sent_with_entry(context, sent_legs if entry.status is Status.FILLED else [], at)
        return
    protected_quantity = compute_exit_quantity(entry, children)
    held_exits = [
        child for child in children if child.status is Status.HELD and child.group_id == entry.group_id
    ]
    if held_exits and not any(child.status in WORKING_STATUSES | FINAL_STATUSES for child in children):
        fields = {"quantity": protected_quantity, "reason": f"{entry.id} filled"}
        resized_exits = [
            context.order_store.record_change(order, at, GROUPS, **fields) for order in held_exits
        ]
        send_exits(context, resized_exits, at)
        return
    latest = list_latest_exits(children)
    legs = [
        exit_order
        for exit_order in latest
        if exit_order.status not in FINAL_STATUSES or was_ended_by_group(context, exit_order)
    ]
    if legs:
        uncovered = protected_quantity - _sum_covered(children)
        add_exits(context, legs, min(quantity, uncovered), at, f"{entry.id} filled")
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


def continue_pair(context: BatchContext, ended_order: Order, at: Timestamp) -> None:
    """Restore or send related orders after an order has ended at its broker."""
    if is_broker_entry(ended_order):
        trim_kept_exits(context, ended_order, at)
        restore_exits_sent_with_entry(context, ended_order, at)
    if not is_remote(ended_order) or ended_order.role not in OCO_ROLES | {Role.CLOSING}:
        return
    if is_paired(context, ended_order) or (
        ended_order.accepted_at is None and was_sent_with_entry(context, ended_order)
    ):
        continue_linked(context, ended_order, at)
        return
    unfilled_quantity = ended_order.quantity - ended_order.filled_quantity
    if ended_order.status is not Status.FILLED and unfilled_quantity > ZERO:
        _continue_emulated(context, ended_order, unfilled_quantity, at)


def watch_pair(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Replace a stop by its take-profit when the quote reaches it, and return to the stop afterwards."""
    if not is_remote(order) or order.role not in OCO_ROLES or order.type in STOPS:
        return
    prices = context.find_symbol_state(order.tenant_id, order.symbol).prices
    is_reached = fills_at_once(order, prices)
    if waits_for_quote(context, order) and is_reached:
        for stop in list_siblings(
            order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        ):
            if stop.status in _RESTING:
                cancel_order(context, stop, at, GROUPS, reason=SWAPPED)
    elif order.status in _RESTING and not is_reached:
        stop_before = _find_stop(context, order)
        if stop_before is not None and find_cancel_reason(context, stop_before) == SWAPPED:
            cancel_order(context, order, at, GROUPS, reason=WITHDRAWN)


def _continue_emulated(
    context: BatchContext, ended_order: Order, unfilled_quantity: Decimal, at: Timestamp
) -> None:
    reason = find_cancel_reason(context, ended_order)
    if reason == RESIZED or _ended_with_the_day(context, ended_order):
        _place_again(context, ended_order, unfilled_quantity, at, is_held=reason != RESIZED)
    elif reason == WITHDRAWN:
        stop, exit_quantity = (
            _find_stop(context, ended_order),
            _limit_rest(context, ended_order, unfilled_quantity),
        )
        add_exits(
            context,
            [ended_order] if stop is None else [stop, ended_order],
            exit_quantity,
            at,
            f"{ended_order.id} did not fill",
        )
    elif ended_order.status is Status.REJECTED and ended_order.role is Role.TAKE_PROFIT:
        _return_stop(context, ended_order, unfilled_quantity, at)
    elif ended_order.role in EXIT_ROLES or reason == SWAPPED:
        _send_watched(context, ended_order, at)


def _send_watched(context: BatchContext, ended_stop: Order, at: Timestamp) -> None:
    """Send the take-profit whose stop has ended, for at most the closable quantity of the position."""
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
            cancel_order(context, sibling, at, GROUPS, reason="The position is closed.")


def _return_stop(context: BatchContext, target: Order, unfilled_quantity: Decimal, at: Timestamp) -> None:
    """Send a stop again if its broker rejected, or never received, the take-profit that replaced it."""
    stop = _find_stop(context, target)
    if stop is not None and find_cancel_reason(context, stop) == SWAPPED:
        exit_quantity = _limit_rest(context, target, unfilled_quantity)
        add_exits(context, [stop], exit_quantity, at, f"{target.id} was rejected")


def _limit_rest(context: BatchContext, ended_order: Order, unfilled_quantity: Decimal) -> Decimal:
    """Return the unfilled quantity of an order, for an exit at most the closable quantity of the position."""
    if ended_order.role is Role.EITHER:
        return unfilled_quantity
    return min(unfilled_quantity, get_closable_quantity(context, ended_order))


def _place_again(
    context: BatchContext, ended_order: Order, unfilled_quantity: Decimal, at: Timestamp, *, is_held: bool
) -> None:
    """Place an order again with its unfilled quantity, in its group.

    If `is_held`, it waits for the next quote.
    """
    exit_quantity = _limit_rest(context, ended_order, unfilled_quantity)
    if not exit_quantity or _has_pair_filled(context, ended_order):
        return
    copy = copy_exit(context, ended_order, exit_quantity, at)
    successor = context.order_store.add(copy, copy.placed_by, f"Continues {ended_order.id}")
    if is_held:
        context.order_store.change_status(successor, Status.HELD, at, GROUPS)
    else:
        release_order(context, successor, at)


def _has_pair_filled(context: BatchContext, ended_order: Order) -> bool:
    """Return whether the other order of the pair has filled, and so closed the same quantity.

    Exits of an earlier part of the entry do not count.
    """
    group = context.order_store.list_group(ended_order)
    exclusive_orders = [order for order in group if order.role is Role.EITHER] + list_latest_exits(group)
    return any(order.status is Status.FILLED for order in exclusive_orders)


def _ended_with_the_day(context: BatchContext, ended_order: Order) -> bool:
    """Return whether a broker ended an exit that it took for a day only, though it is good till canceled."""
    if ended_order.role not in EXIT_ROLES or ended_order.status not in {Status.EXPIRED, Status.CANCELED}:
        return False
    if ended_order.accepted_at is None or was_cancel_requested(context, ended_order):
        return False
    working_time = context.now - datetime.fromisoformat(ended_order.accepted_at)
    instrument = context.find_instrument(ended_order.tenant_id, ended_order.symbol)
    return working_time >= _MIN_TIME and is_sent_for_a_day(ended_order, instrument)


def _find_stop(context: BatchContext, order: Order) -> Order | None:
    """Return the last stop of the order's pair that was not denied, None if there is none."""
    exclusive_orders = [
        member for member in context.order_store.list_group(order) if member.role in OCO_ROLES
    ]
    stops = [order for order in exclusive_orders if order.type in STOPS and order.status is not Status.DENIED]
    return max(stops, key=lambda order: order.id, default=None)
