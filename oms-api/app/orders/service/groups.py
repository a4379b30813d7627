"""Contingent orders: what the fill or the end of one does to the others of its group."""

from decimal import Decimal
from typing import Any

from app.money import ZERO
from app.orders.rules.families import EXITS, exit_quantity, siblings
from app.orders.rules.protection import on_tick
from app.orders.rules.telling import denied_facts
from app.orders.rules.values import FINAL, GroupKind, Order, Role, Status
from app.orders.service.judging import denial_text, judged
from app.orders.service.scene import Scene, shortest
from app.risk.rules.values import Denial, TradingState

GROUPS = "group"  # who moves an order because another one moved
RISK = "risk"


def end(scene: Scene, order: Order, to: Status, at: str, actor: str, **facts: Any) -> Order:
    """End an order, and do what that does to its group; `facts` are those of a move."""
    ended = scene.blotter.move(order, to, at, actor, **facts)
    after_end(scene, ended, at)
    return ended


def cancel(scene: Scene, order: Order, at: str, actor: str, **facts: Any) -> Order:
    """Cancel an open order: at the market through its broker, which on paper confirms at once."""
    if order.status in {Status.INITIALIZED, Status.HELD, Status.AWAITING_APPROVAL}:
        return end(scene, order, Status.CANCELED, at, actor, **facts)
    if order.status is not Status.PENDING_CANCEL:
        order = scene.blotter.move(order, Status.PENDING_CANCEL, at, actor, **facts)
    return end(scene, order, Status.CANCELED, at, order.broker)


def deny(scene: Scene, order: Order, denial: Denial, at: str, **fields: Any) -> Order:
    """End an order because risk said no, and say so."""
    text = denial_text(denial)
    facts = denied_facts(order, text)
    scene.blotter.tell(order.tenant_id, "risk.denied", facts, at)
    return end(scene, order, Status.DENIED, at, RISK, reason=denial.message, denial=text, **fields)


def after_fill(scene: Scene, order: Order, quantity: Decimal, at: str) -> None:
    """Do what a fill of `quantity` does to the order's group."""
    if order.role is Role.CLOSING:
        _part_filled(scene, order, at)
    if order.group_kind is None:
        return
    if order.role is Role.ENTRY:
        _entry_filled(scene, order, quantity, at)
    else:
        _share_filled(scene, order, quantity, at)


def after_end(scene: Scene, order: Order, at: str) -> None:
    """Do what the end of an order without completion does to its group."""
    if order.role is Role.ENTRY and (order.group_kind is GroupKind.OTO or not order.filled_quantity):
        for child in _children(scene, order):
            if child.status not in FINAL:
                cancel(scene, child, at, GROUPS, reason=f"{order.id} ended")
    if order.role is Role.CLOSING:
        _cancel_parts(scene, order, at)
    if order.role is Role.EITHER and order.status in {Status.CANCELED, Status.EXPIRED}:
        for sibling in _open_siblings(scene, order):
            cancel(scene, sibling, at, GROUPS, reason=f"{order.id} ended")


def release(scene: Scene, order: Order, at: str, **fields: Any) -> Order:
    """Send a held order to the market. An exit is always released: it only reduces, so neither limits nor a
    halt deny it, and it meets the market from the next quote on. Others are judged again; a halted one stays
    held until the switch is ACTIVE.
    """
    wanted = order._replace(**fields)
    if _only_reduces(scene, wanted):
        fields |= on_tick(wanted, scene.instrument(order.tenant_id, order.symbol).tick_size)
        return _released(scene, order, at, **fields)
    denial = judged(scene, wanted)
    if denial is not None and scene.state(order)[0] is not TradingState.ACTIVE:
        if wanted == order:
            return order
        return scene.blotter.note(order, at, GROUPS, reason=denial.message, **fields)
    if denial is not None:
        return deny(scene, order, denial, at, **fields)
    return _released(scene, order, at, **fields)


def _released(scene: Scene, order: Order, at: str, **fields: Any) -> Order:
    sent = scene.blotter.move(order, Status.SUBMITTED, at, GROUPS, **fields)
    return scene.blotter.move(sent, Status.ACCEPTED, at, sent.broker, accepted_at=at)


def _only_reduces(scene: Scene, order: Order) -> bool:
    """Tell whether a held order is an exit: of a bracket, or the second of an OTO that only closes; or a
    part of a close.
    """
    if order.role in EXITS or order.role is Role.CLOSING:
        return True
    return order.role is Role.FOLLOWER and order.leaves_quantity <= left_to_take(scene, order)


def left_to_take(scene: Scene, order: Order) -> Decimal:
    """Return how much an order of that side may take off the position before it is flat."""
    held = scene.position(order).quantity
    return max(held if order.side == "SELL" else -held, ZERO)


def _entry_filled(scene: Scene, entry: Order, quantity: Decimal, at: str) -> None:
    children = _children(scene, entry)
    if entry.group_kind is GroupKind.OTO:
        held = [child for child in children if child.status is Status.HELD]
        for child in held if entry.status is Status.FILLED else []:
            scene.arrivals.append(release(scene, child, at))
        return
    grown = exit_quantity(entry, children)
    was_kept = entry.filled_quantity > quantity  # and may have been closed in part since
    for child in children:
        if child.status is Status.HELD:
            due = min(grown, left_to_take(scene, child)) if was_kept else grown
            if due:
                release(scene, child, at, quantity=due)
        elif quantity and child.status not in FINAL:
            size = child.quantity + quantity
            reason = f"Grew to {shortest(size)}"  # and matches from the next quote on, as after its release
            scene.blotter.note(child, at, GROUPS, quantity=size, accepted_at=at, reason=reason)


def _part_filled(scene: Scene, order: Order, at: str) -> None:
    """Send the next part of a close once this one is filled, for what there is left to take."""
    parts = _waiting_parts(scene, order) if order.status is Status.FILLED else []
    if not parts:
        return
    left = left_to_take(scene, order)
    if left:
        scene.arrivals.append(release(scene, parts[0], at, quantity=min(parts[0].quantity, left)))
    else:
        cancel(scene, parts[0], at, GROUPS, reason="The position is closed.")  # and with it the others


def _cancel_parts(scene: Scene, order: Order, at: str) -> None:
    for part in _waiting_parts(scene, order):
        if scene.blotter.now(part).status is Status.HELD:  # the end of another may have ended it
            cancel(scene, part, at, GROUPS, reason=f"{order.id} ended")


def _waiting_parts(scene: Scene, order: Order) -> list[Order]:
    """Return the parts of the same close that are not sent yet, the next one first."""
    first = order.parent_id or order.id
    here = scene.blotter.open_of((order.tenant_id, order.portfolio_id), order.symbol)
    parts = [
        one for one in here if (one.parent_id, one.role, one.status) == (first, Role.CLOSING, Status.HELD)
    ]
    return sorted((one for one in parts if one.id != order.id), key=lambda one: one.id)


def _share_filled(scene: Scene, order: Order, quantity: Decimal, at: str) -> None:
    """A fill of one of two that share a quantity: an exit ends the entry's rest, and the sibling loses as
    much.
    """
    if order.role in EXITS and order.parent_id:
        entry = scene.blotter.parent_of(order)
        if entry is not None and entry.status not in FINAL:
            cancel(scene, entry, at, GROUPS, reason=f"{order.id} filled")
    for sibling in _open_siblings(scene, order):
        is_over = order.status is Status.FILLED and order.role is Role.EITHER
        if sibling.leaves_quantity <= quantity or is_over:
            cancel(scene, sibling, at, GROUPS, reason=f"{order.id} filled")
        else:
            size = sibling.quantity - quantity
            scene.blotter.note(sibling, at, GROUPS, quantity=size, reason=f"Cut to {shortest(size)}")


def _open_siblings(scene: Scene, order: Order) -> list[Order]:
    place = (order.tenant_id, order.portfolio_id)
    return siblings(order, scene.blotter.open_of(place, order.symbol))


def _children(scene: Scene, entry: Order) -> list[Order]:
    """Return the orders that wait for the entry, the ended ones included."""
    return scene.blotter.children_of(entry)
