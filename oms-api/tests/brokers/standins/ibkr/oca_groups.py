"""The behavior of TWS for OCA groups, as users measured it. Its documentation does not describe it."""

from collections.abc import Iterable

from tests.brokers.standins.ibkr.values import Order, Refusal

REDUCE_WITHOUT_BLOCK = "3"


class RevisedGroup(Refusal):
    """The refusal of a change with another group. TWS cancels the order too."""


def list_others(orders: Iterable[Order], order: Order) -> list[Order]:
    """Return the other orders of an order's group."""
    if not order.oca_group:
        return []
    return [other for other in orders if other.oca_group == order.oca_group and other is not order]


def is_filled(orders: Iterable[Order], order: Order) -> bool:
    """Return whether another order of the group has filled: no order can join it any more."""
    return any(other.status == "Filled" for other in list_others(orders, order))


def rename(order: Order, parent: Order | None) -> None:
    """Give the group of an attached exit the name and the type that TWS gives it, whatever they were."""
    if parent is not None:
        order.oca_group, order.oca_type = str(parent.perm_id), REDUCE_WITHOUT_BLOCK


def require_same_links(order: Order, changed: Order, parent: Order | None) -> None:
    """Refuse a change with another group, or with an entry that has ended. Raises Refusal."""
    if parent is not None and not parent.is_open:
        raise Refusal(135, f"Can't find order with id = {changed.parent_id}")
    if changed.oca_group != order.oca_group:
        raise RevisedGroup(10326, "OCA group revision is not allowed.")
    if changed.oca_type != order.oca_type:
        raise RevisedGroup(10327, "OCA group type revision is not allowed.")
