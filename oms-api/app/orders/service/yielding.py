"""Exits and closes of one position: together they never take more off than there is."""

from decimal import Decimal

from app.orders.rules.families import EXITS, cuts, yielders
from app.orders.rules.values import FINAL, WORKING, Order, Status
from app.orders.service.groups import GROUPS, cancel, left_to_take
from app.orders.service.scene import Scene, shortest


def trimmed(scene: Scene, known: Order, at: str) -> Order:
    """Return a close that rests, or an exit about to fill, cut to what there is to take by now: what took
    the position off meanwhile (another close, a trade that was reported) leaves less. With nothing to take
    it is cancelled.
    """
    order, left = scene.blotter.now(known), left_to_take(scene, known)
    if order.status not in WORKING or order.leaves_quantity <= left:
        return order
    if not left:
        return cancel(scene, order, at, GROUPS, reason="The position is closed.")
    return _cut(scene, order, left, at)


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
            _cut(scene, one, keeps, at)
        else:
            _end(scene, one, order, at)
    for kept in [one for one in here if one.status is Status.HELD] if not left else []:
        _end_kept(scene, kept, order, at)


def _cut(scene: Scene, order: Order, keeps: Decimal, at: str) -> Order:
    size = order.filled_quantity + keeps
    return scene.blotter.note(order, at, GROUPS, quantity=size, reason=f"Cut to {shortest(size)}")


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
