"""Rules for contingent orders: which orders share a quantity, and which wait for another."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.money import round_down_to_step, round_up_to_step
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import Order, Role, Status

MAX_PARTS = 100  # a close is split into at most this number of orders
PARENT_ROLES = frozenset({Role.ENTRY, Role.CLOSING})  # they may have child orders
EXIT_ROLES = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS})
OCO_ROLES = EXIT_ROLES | {Role.EITHER}  # a fill of one reduces its sibling

_POSSIBLE_EXIT_ROLES = frozenset({Role.EITHER, Role.FOLLOWER})


def find_oco_group_id(order: Order) -> str | None:
    """Return the id of the order's group if the orders of the group share one quantity, else None."""
    return order.group_id if order.role in OCO_ROLES else None


def can_only_close(order: Order, position_quantity: Decimal) -> bool:
    """Return whether an order can only reduce the signed position `position_quantity`.

    True for a bracket exit, and for an OCO order or OTO follower whose quantity is not larger than the
    position.
    """
    if order.role in EXIT_ROLES:
        return True
    closable_quantity = position_quantity if order.side == "SELL" else -position_quantity
    return order.role in _POSSIBLE_EXIT_ROLES and order.leaves_quantity <= closable_quantity


def list_siblings(order: Order, orders: Iterable[Order]) -> list[Order]:
    """Return the other orders that share the order's quantity."""
    group_id = find_oco_group_id(order)
    if group_id is None:
        return []
    return [
        candidate
        for candidate in orders
        if candidate.id != order.id and find_oco_group_id(candidate) == group_id
    ]


def compute_exit_quantity(entry: Order, exits: Iterable[Order]) -> Decimal:
    """Return the quantity that the entry's exits may work: the entry's fills minus the exits' fills.

    The carried quantity of a replaced exit's successor is left out, because its predecessor counts it.
    """
    covered_quantity = sum(
        (exit_order.filled_quantity - exit_order.carried_quantity for exit_order in exits), Decimal(0)
    )
    return entry.filled_quantity - covered_quantity


def list_latest_exits(orders: Iterable[Order]) -> list[Order]:
    """Return the last exit of each role, without denied replacements."""
    exits = (order for order in orders if order.role in EXIT_ROLES and order.status is not Status.DENIED)
    return list(
        {
            exit_order.role: exit_order for exit_order in sorted(exits, key=lambda exit_order: exit_order.id)
        }.values()
    )


def list_orders_to_reduce(order: Order, orders: Iterable[Order]) -> list[Order]:
    """Return the orders whose quantity a fill of `order` reduces, because they close the same position.

    For a closing order these are the exits, for an exit the closing orders.
    """
    roles = OCO_ROLES if order.role is Role.CLOSING else {Role.CLOSING}
    return [
        candidate
        for candidate in orders
        if candidate.role in roles
        and (candidate.side, candidate.product) == (order.side, order.product)
        and candidate.id != order.id
    ]


def select_opening_orders(orders: Iterable[Order], position_quantity: Decimal) -> list[Order]:
    """Return the open orders of a position, oldest first, that could open or increase it.

    Exits, closing orders and held orders are not included. Other orders are included once their total exceeds
    the signed position `position_quantity`.
    """
    closable_quantities = {
        "SELL": max(position_quantity, Decimal(0)),
        "BUY": max(-position_quantity, Decimal(0)),
    }
    opening = []
    for order in orders:
        if (
            order.role is Role.CLOSING
            or order.status is Status.HELD
            or can_only_close(order, position_quantity)
        ):
            continue
        if order.leaves_quantity <= closable_quantities[order.side]:
            closable_quantities[order.side] -= order.leaves_quantity
        else:
            opening.append(order)
    return opening


def compute_part_size(quantity: Decimal, max_quantity: Decimal | None, lot: Decimal) -> Decimal:
    """Return the quantity of each part of a close of `quantity`; the last part may be smaller.

    A part is at most `max_quantity`, in whole lots, and there are at most MAX_PARTS parts.
    """
    if max_quantity is None or quantity <= max_quantity:
        return quantity
    min_quantity = round_up_to_step(quantity / MAX_PARTS, lot)
    return min(max(round_down_to_step(max_quantity, lot), min_quantity), quantity)


class Reduction(NamedTuple):
    """A trade that reduced a position: the closing side, and the unsigned quantity before and after it."""

    side: str
    previous: Decimal
    remaining: Decimal


def find_reduction(quantity: Decimal, delta: Decimal) -> Reduction | None:
    """Return the reduction by a trade that changed the position by `delta` to `quantity`, both signed.

    None if the trade did not reduce the position.
    """
    previous = quantity - delta
    sign = 1 if previous > 0 else -1
    if delta * sign >= 0 or not previous:
        return None
    return Reduction("SELL" if sign > 0 else "BUY", abs(previous), max(quantity * sign, Decimal(0)))


def compute_reopened_quantity(quantity: Decimal, delta: Decimal) -> Decimal:
    """Return how much of a position a change by `delta` to `quantity`, both signed, opened."""
    return min(abs(quantity), abs(delta)) if quantity * delta > 0 else Decimal(0)


class PlannedReduction(NamedTuple):
    """An order that must shrink, and the open quantity that it keeps."""

    order: Order
    kept_quantity: Decimal


def plan_reductions(orders: Sequence[Order], closable_quantity: Decimal) -> list[PlannedReduction]:
    """Return each order that must shrink.

    All together then close at most `closable_quantity`. The first orders shrink first. Orders that share a
    quantity count once.
    """
    groups: dict[str, list[Order]] = {}
    for order in orders:
        groups.setdefault(find_oco_group_id(order) or order.id, []).append(order)
    sizes = {name: max(order.leaves_quantity for order in group) for name, group in groups.items()}
    excess = sum(sizes.values(), Decimal(0)) - closable_quantity
    reductions = []
    for name, group in groups.items():
        if excess <= 0:
            break
        kept_quantity = max(sizes[name] - excess, Decimal(0))
        reductions += [
            PlannedReduction(order, kept_quantity) for order in group if order.leaves_quantity > kept_quantity
        ]
        excess -= sizes[name] - kept_quantity
    return reductions


def reduce_successor(
    order: Order, successor: Order, history: Sequence[OrderEvent], group_actor: str
) -> Order:
    """Return the successor of an order, reduced by fills of its group since the replacement was requested.

    `history` is the history of the order, oldest first. `group_actor` is the actor of changes that fills of
    the group cause.
    """
    if order.role not in OCO_ROLES or successor.quantity <= order.quantity:
        return successor
    is_reduced = False
    for change in history:
        if change.from_status == change.to_status:
            is_reduced |= change.actor == group_actor
        elif change.to_status == Status.PENDING_REPLACE:
            is_reduced = False
    return successor._replace(quantity=order.quantity) if is_reduced else successor
