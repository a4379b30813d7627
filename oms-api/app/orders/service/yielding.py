"""Exits and closes of one position: together they never take more off than there is."""

from decimal import Decimal

from app.money import ZERO
from app.orders.rules.families import EXITS, cuts, yielders
from app.orders.rules.values import FINAL, WORKING, Order, Status
from app.orders.service.groups import GROUPS, cancel
from app.orders.service.scene import Scene, shortest


def left_to_take(scene: Scene, order: Order) -> Decimal:
    """Return how much an order of that side may take off the position before it is flat."""
    held = scene.position(order).quantity
    return max(held if order.side == "SELL" else -held, ZERO)


def yield_to(scene: Scene, order: Order, at: str) -> None:
    """Cut what takes the position off too to what a fill of the order left of it: exits after a close, a
    close that rests after an exit. What has nothing left to take is cancelled.
    """
    left = left_to_take(scene, order)
    here = yielders(order, scene.blotter.open_of((order.tenant_id, order.portfolio_id), order.symbol))
    for known, keeps in cuts(_last_needed_first(scene, here), left):
        one = scene.blotter.now(known)  # the end of another may have ended it
        if one.status in FINAL:
            continue
        if keeps:
            size = one.filled_quantity + keeps
            scene.blotter.note(one, at, GROUPS, quantity=size, reason=f"Cut to {shortest(size)}")
        else:
            _end(scene, one, order, at)
    for kept in [one for one in here if one.status is Status.HELD] if not left else []:
        _end_kept(scene, kept, order, at)


def _last_needed_first(scene: Scene, orders: list[Order]) -> list[Order]:
    """Return those at the market, first those whose entries are over, oldest first."""
    working = [one for one in orders if one.status in WORKING]
    return sorted(working, key=lambda one: (_open_entry(scene, one) is not None, one.group_id or "", one.id))


def _end(scene: Scene, order: Order, other: Order, at: str) -> None:
    entry = _open_entry(scene, order)
    if entry is not None:  # it would go on without its exits
        cancel(scene, entry, at, GROUPS, reason=f"{other.id} closed the position")
    cancel(scene, order, at, GROUPS, reason=f"{other.id} filled")


def _end_kept(scene: Scene, order: Order, other: Order, at: str) -> None:
    """End an exit that a kill switch keeps back, where its entry has filled: it would be let go one day."""
    entry = scene.blotter.parent_of(order)
    if order.role in EXITS and entry is not None and entry.filled_quantity:
        _end(scene, scene.blotter.now(order), other, at)


def _open_entry(scene: Scene, order: Order) -> Order | None:
    entry = scene.blotter.parent_of(order)
    return entry if entry is not None and entry.status not in FINAL else None
