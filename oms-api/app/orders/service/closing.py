"""Closing positions: a market order against what is held."""

from decimal import Decimal

from app.clock import iso
from app.orders.errors import MoreThanHeld, NothingToClose
from app.orders.rules.making import Home, new_order
from app.orders.rules.values import FINAL, Order, OrderType, Role, Status, Ticket, TimeInForce
from app.orders.service.changing import who
from app.orders.service.commands import ClosePosition, Done
from app.orders.service.groups import cancel
from app.orders.service.judging import count_message
from app.orders.service.placing import add, denied, repeated_request, send, shown
from app.orders.service.scene import Place, Scene, shortest


def close(scene: Scene, command: ClosePosition, place: Place | None) -> Done:
    """Send the order that closes the position, or a part of it. Raises NothingToClose, MoreThanHeld.

    Orders that would close the same position are cancelled first where all of it is closed. A flatten acts in
    spite of a kill switch.
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
    if command.quantity is None:
        _clear(scene, command, place, made.side)
    order = add(scene, made)
    if command.in_spite_of_halt or not denied(scene, order):
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


def _clear(scene: Scene, command: ClosePosition, place: Place, side: str) -> None:
    """Cancel what would close the position a second time."""
    for known in scene.blotter.open_in(place):
        order = scene.blotter.get(known.tenant_id, known.id)
        if _closes(order, command, side):
            at = iso(command.origin.at)
            cancel(scene, order, at, who(command.origin), reason="The position is closed.")


def _closes(order: Order, command: ClosePosition, side: str) -> bool:
    is_here = (order.symbol, order.product, order.side) == (command.symbol, command.product, side)
    is_leg_to_come = order.status is Status.HELD and order.role is not None and order.role is not Role.EITHER
    return is_here and order.status not in FINAL and not is_leg_to_come
