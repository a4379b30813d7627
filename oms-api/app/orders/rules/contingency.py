"""How orders of one group bear on each other: who shares a quantity with whom, who waits for whom."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from app.money import ceiling_to, round_down_to
from app.orders.rules.values import Order, Role, Status

MAX_PARTS = 100  # orders of one close
EXITS = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS})
SHARING = EXITS | {Role.EITHER}  # what one of these fills, its sibling loses

_MAYBE_EXITS = frozenset({Role.EITHER, Role.FOLLOWER})


def exclusive_id(order: Order) -> str | None:
    """Return what orders share of which only one can fill, None for any other order."""
    return order.group_id if order.role in SHARING else None


def closes_only(order: Order, held: Decimal) -> bool:
    """Tell whether an order only takes off the signed position `held`: an exit of a bracket, and one of an
    OCO pair or the second of an OTO that is no larger than the position.
    """
    if order.role in EXITS:
        return True
    left = held if order.side == "SELL" else -held
    return order.role in _MAYBE_EXITS and order.leaves_quantity <= left


def find_siblings(order: Order, orders: Iterable[Order]) -> list[Order]:
    """Return those of the family that share the order's quantity."""
    shared = exclusive_id(order)
    if shared is None:
        return []
    return [one for one in orders if one.id != order.id and exclusive_id(one) == shared]


def exit_quantity(entry: Order, exits: Iterable[Order]) -> Decimal:
    """Return what an exit of the entry may work on: what the entry filled less what exits took off again.

    What a successor filled counts once: its predecessor's part is carried over.
    """
    taken = sum((one.filled_quantity - one.carried_quantity for one in exits), Decimal(0))
    return entry.filled_quantity - taken


def find_yielding_orders(order: Order, orders: Iterable[Order]) -> list[Order]:
    """Return those of the orders that yield to a fill of `order`, which takes the same position off: to a
    close the exits, to an exit the closes.
    """
    roles = SHARING if order.role is Role.CLOSING else {Role.CLOSING}
    return [
        one
        for one in orders
        if one.role in roles and (one.side, one.product) == (order.side, order.product) and one.id != order.id
    ]


def opening_orders(orders: Iterable[Order], held: Decimal) -> list[Order]:
    """Return those of a position's open orders, oldest first, that could open or increase it: neither exits
    and closes, nor others as far as they together take off no more than the signed position `held`. What
    waits for an entry follows that.
    """
    room = {"SELL": max(held, Decimal(0)), "BUY": max(-held, Decimal(0))}
    found = []
    for order in orders:
        if order.role is Role.CLOSING or order.status is Status.HELD or closes_only(order, held):
            continue
        if order.leaves_quantity <= room[order.side]:
            room[order.side] -= order.leaves_quantity
        else:
            found.append(order)
    return found


def part_size(quantity: Decimal, most: Decimal | None, lot: Decimal) -> Decimal:
    """Return the size of the orders, but for the last, that a close of `quantity` is sent in: at most `most`,
    in whole lots, and in no more than MAX_PARTS orders.
    """
    if most is None or quantity <= most:
        return quantity
    least = ceiling_to(quantity / MAX_PARTS, lot)
    return min(max(round_down_to(most, lot), least), quantity)


class Reduction(NamedTuple):
    """A trade that took off a part of a position: the side that closes it, and what there was and is left of
    it, unsigned.
    """

    side: str
    previous: Decimal
    left: Decimal


def reduction_of(quantity: Decimal, delta: Decimal) -> Reduction | None:
    """Return what a trade took off that changed a position by `delta` to `quantity`, both signed; None where
    it took nothing off.
    """
    previous = quantity - delta
    sign = 1 if previous > 0 else -1
    if delta * sign >= 0 or not previous:
        return None
    return Reduction("SELL" if sign > 0 else "BUY", abs(previous), max(quantity * sign, Decimal(0)))


def plan_reductions(orders: Sequence[Order], left: Decimal) -> list[tuple[Order, Decimal]]:
    """Return the orders that would together take more than `left` off, and what each may still fill: the
    first give way first. Of orders that share a quantity only one counts.
    """
    groups: dict[str, list[Order]] = {}
    for order in orders:
        groups.setdefault(exclusive_id(order) or order.id, []).append(order)
    sizes = {name: max(one.leaves_quantity for one in group) for name, group in groups.items()}
    excess = sum(sizes.values(), Decimal(0)) - left
    cut = []
    for name, group in groups.items():
        if excess <= 0:
            break
        keeps = max(sizes[name] - excess, Decimal(0))
        cut += [(one, keeps) for one in group if one.leaves_quantity > keeps]
        excess -= sizes[name] - keeps
    return cut
