"""How orders of one group bear on each other: who shares a quantity with whom, who waits for whom."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from app.orders.rules.values import Order, Role

EXITS = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS})
SHARING = EXITS | {Role.EITHER}  # what one of these fills, its sibling loses
YIELDING = SHARING | {Role.CLOSING}  # exits yield to what closes by itself, and the other way round


def exclusive_id(order: Order) -> str | None:
    """Return what orders share of which only one can fill, None for any other order."""
    return order.group_id if order.role in SHARING else None


def siblings(order: Order, family: Iterable[Order]) -> list[Order]:
    """Return those of the family that share the order's quantity."""
    shared = exclusive_id(order)
    if shared is None:
        return []
    return [one for one in family if one.id != order.id and exclusive_id(one) == shared]


def exit_quantity(entry: Order, exits: Iterable[Order]) -> Decimal:
    """Return what an exit of the entry may work on: what the entry filled less what exits took off again.

    What a successor filled counts once: its predecessor's part is carried over.
    """
    taken = sum((one.filled_quantity - one.carried_quantity for one in exits), Decimal(0))
    return entry.filled_quantity - taken


def yielders(order: Order, orders: Iterable[Order]) -> list[Order]:
    """Return those of the orders that yield to a fill of `order`, which takes the same position off: to a
    close the exits, to an exit the closes.
    """
    roles = SHARING if order.role is Role.CLOSING else {Role.CLOSING}
    return [
        one
        for one in orders
        if one.role in roles and (one.side, one.product) == (order.side, order.product) and one.id != order.id
    ]


def cuts(orders: Sequence[Order], left: Decimal) -> list[tuple[Order, Decimal]]:
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
