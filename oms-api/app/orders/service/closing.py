"""Closing positions: a market order against what is held."""

from decimal import Decimal

from app.clock import iso
from app.orders.errors import MoreThanHeld, NothingToClose
from app.orders.rules.families import EXITS
from app.orders.rules.making import Home, new_order
from app.orders.rules.values import FINAL, Order, OrderType, Role, Status, Ticket, TimeInForce
from app.orders.service.commands import ClosePosition, Done
from app.orders.service.groups import cancel
from app.orders.service.judging import count_message
from app.orders.service.placing import add, denied, repeated_request, send, shown
from app.orders.service.scene import Place, Scene, shortest


def close(scene: Scene, command: ClosePosition, place: Place | None) -> Done:
    """Send the order that closes the position, or a part of it. Raises NothingToClose, MoreThanHeld.

    Where all of it is closed, orders that would close it too are cancelled first, and the entries whose exits
    they are. A flatten acts in spite of a kill switch.
    """
    origin = command.origin
    known = repeated_request(scene, origin)
    if known is not None:
        return known
    held = scene.books.position((*place, command.symbol, command.product)).quantity if place else None
    if not place or not held:
        raise NothingToClose(command.symbol)
    if command.quantity is not None and command.quantity > abs(held):
        raise MoreThanHeld(command.symbol, shortest(abs(held)))
    made = _against(scene, command, place, held)
    if not command.in_spite_of_halt:
        count_message(scene, origin, made)
    rivals = [] if command.quantity is not None else _rivals(scene, place, made)
    order = add(scene, made)
    if command.in_spite_of_halt or not denied(scene, order, *rivals):
        _clear(scene, rivals, order)
        send(scene, order)
    return shown(scene, order.tenant_id, [order.id])


def _against(scene: Scene, command: ClosePosition, place: Place, held: Decimal) -> Order:
    origin = command.origin
    quantity = abs(held) if command.quantity is None else command.quantity
    ticket = Ticket(
        symbol=command.symbol,
        side="SELL" if held > 0 else "BUY",
        type=OrderType.MARKET,
        quantity=quantity,
        time_in_force=TimeInForce.DAY,
        product=command.product,
        reason=command.reason,
    )
    home = Home(origin.tenant_id, place[1], origin.source, origin.user_id, iso(origin.at), origin.actor)
    order = new_order(scene.tools.order_ids.next(origin.tenant_id, origin.at), home, ticket, quantity)
    return order._replace(idempotency_key=origin.idempotency_key, request_hash=origin.request_hash)


def _rivals(scene: Scene, place: Place, closing: Order) -> list[Order]:
    """Return what would close the position again, and entries that would go on without their exits."""
    rivals: dict[str, Order] = {}
    for order in scene.blotter.open_in(place):
        if not _closes_too(order, closing):
            continue
        rivals[order.id] = order
        entry = scene.blotter.parent_of(order) if order.role in EXITS else None
        if entry is not None and entry.status not in FINAL:
            rivals[entry.id] = entry
    return list(rivals.values())


def _closes_too(order: Order, closing: Order) -> bool:
    is_here = (order.symbol, order.product, order.side) == (closing.symbol, closing.product, closing.side)
    is_leg_to_come = order.status is Status.HELD and order.role is not None and order.role is not Role.EITHER
    return is_here and not is_leg_to_come


def _clear(scene: Scene, rivals: list[Order], closing: Order) -> None:
    for known in rivals:
        order = scene.blotter.now(known)  # one of its group may have ended it
        if order.status not in FINAL:
            cancel(scene, order, closing.created_at, closing.placed_by, reason="The position is closed.")
