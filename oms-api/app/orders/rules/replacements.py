"""Replacements at a broker: changes of an order while its replacement was pending."""

from collections.abc import Sequence

from app.orders.rules.contingency import SHARING
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import Order, Status


def reduce_successor(order: Order, successor: Order, history: Sequence[OrderEvent], groups: str) -> Order:
    """Return the successor of an order, reduced by fills of its group since the replacement was requested.

    `history` is that of the order, oldest first, and `groups` the actor of changes by its group.
    """
    if order.role not in SHARING or successor.quantity <= order.quantity:
        return successor
    is_reduced = False
    for change in history:
        if change.from_status == change.to_status:
            is_reduced |= change.actor == groups
        elif change.to_status == Status.PENDING_REPLACE:
            is_reduced = False
    return successor._replace(quantity=order.quantity) if is_reduced else successor
