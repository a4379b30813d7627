"""Replacements at a broker: changes of an order while its replacement was pending."""

from collections.abc import Sequence

from app.orders.rules.contingency import OCO_ROLES
from app.orders.rules.rows import OrderEvent
from app.orders.rules.values import Order, Status


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
