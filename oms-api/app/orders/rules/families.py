"""How orders of one group bear on each other: who shares a quantity with whom, who waits for whom."""

from collections.abc import Iterable
from decimal import Decimal

from app.orders.rules.values import Order, Role

EXITS = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS})
SHARING = EXITS | {Role.EITHER}  # what one of these fills, its sibling loses


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
