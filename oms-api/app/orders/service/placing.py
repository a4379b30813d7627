"""New orders: judged, written down whatever the verdict, and sent."""

from decimal import Decimal
from typing import Any

from app.brokers.rules.drills import rejection
from app.clock import iso
from app.errors import FieldError, Invalid
from app.identity.errors import NotYourPortfolio
from app.ledger.service.commands import Origin
from app.money import ZERO, floor_to, ratio
from app.orders.errors import ClientOrderIdReused, OrderKeyReused
from app.orders.rules.making import ALONE, Family, Home, exits, new_order
from app.orders.rules.outcomes import Shown
from app.orders.rules.states import resting_status
from app.orders.rules.tickets import end_errors
from app.orders.rules.values import GroupKind, Order, Role, Status, Ticket, changed
from app.orders.service.commands import Done, PlaceGroup, PlaceOrder
from app.orders.service.groups import RISK, deny, end
from app.orders.service.judging import count_message, judged
from app.orders.service.protection import follower_denial, legs_denial, pair_denial
from app.orders.service.scene import Scene
from app.orders.service.trading import meet
from app.risk.rules.exposure import touch
from app.risk.rules.values import Denial, Prices

_UNSIZED = "NO_QUANTITY"


def place(scene: Scene, command: PlaceOrder) -> Done:
    """Place one order, with the legs of a bracket; or tell what became of it if it is there already."""
    known = repeated(scene, command)
    if known is not None:
        return known
    check_end(command.ticket, iso(command.origin.at))
    order = _make(scene, command, command.ticket, ALONE)
    count_message(scene, command.origin, order)
    origin = command.origin
    order = changed(order, idempotency_key=origin.idempotency_key, request_hash=origin.request_hash)
    legs = exits(order, command.ticket)
    if legs:
        order = order._replace(group_id=order.id, group_kind=GroupKind.BRACKET, role=Role.ENTRY)
    order = add(scene, order)
    denial = ticket_denial(scene, order, legs, confirms=command.ticket.confirm_repeat)
    if denial is not None:
        deny(scene, order, denial, order.created_at)
    else:
        for role, ticket in legs:
            _hold(scene, command, ticket, Family(order.id, order.id, GroupKind.BRACKET, role))
        send(scene, scene.blotter.get(order.tenant_id, order.id))
    return shown(scene, order.tenant_id, [order.id])


def place_group(scene: Scene, command: PlaceGroup) -> Done:
    """Place two joined orders; if risk denies one, neither is sent."""
    known = repeated(scene, command)
    if known is not None:
        return known
    for number, ticket in enumerate(command.tickets):
        check_end(ticket, iso(command.origin.at), f"orders.{number}.")
    first, second = (_make(scene, command, ticket, ALONE) for ticket in command.tickets)
    for order in (first, second):
        count_message(scene, command.origin, order)
    key, request_hash = command.origin.idempotency_key, command.origin.request_hash
    first = first._replace(idempotency_key=key, request_hash=request_hash)
    second = second._replace(request_hash=request_hash)
    is_pair = command.kind is GroupKind.OCO
    group: dict[str, Any] = {"group_id": first.id, "group_kind": command.kind}
    first = add(scene, first._replace(**group, role=Role.EITHER if is_pair else Role.ENTRY))
    parent_id = None if is_pair else first.id
    role = Role.EITHER if is_pair else Role.FOLLOWER
    second = add(scene, second._replace(**group, parent_id=parent_id, role=role))
    if _is_group_denied(scene, first, second):
        _withdraw(scene, [first, second], iso(command.origin.at))
    elif is_pair:
        _send_pair(scene, first, second)
    else:
        scene.blotter.move(second, Status.HELD, second.created_at, second.placed_by)
        send(scene, first)
    return shown(scene, first.tenant_id, [first.id, second.id])


def check_end(ticket: Ticket, now: str, prefix: str = "") -> None:
    """Raise Invalid where the ticket would be over before it began. A repeat may come after its end."""
    for bad in end_errors(ticket, now):
        raise Invalid(bad.message, [FieldError(f"{prefix}{bad.field}", bad.message, bad.code)])


def repeated(scene: Scene, command: PlaceOrder | PlaceGroup) -> Done | None:
    """Return the earlier outcome of the same request, None where it is new; see `repeated_request`."""
    tickets = command.tickets if isinstance(command, PlaceGroup) else (command.ticket,)
    return repeated_request(scene, command.origin, *(ticket.client_order_id for ticket in tickets))


def repeated_request(scene: Scene, origin: Origin, *client_order_ids: str | None) -> Done | None:
    """Return the earlier outcome of the same request, None where it is new.

    Raises ClientOrderIdReused or OrderKeyReused where its name stands for another request, and
    NotYourPortfolio where it stands for any of a portfolio that is not the caller's.
    """
    known = _bound_in_sight(scene, origin, origin.idempotency_key or "")
    if known is not None and known.request_hash != origin.request_hash:
        raise OrderKeyReused((known.idempotency_key or "").partition(":")[2])
    for name in client_order_ids:
        order = _bound_in_sight(scene, origin, f"/{name}") if name else None
        if order is not None and order.request_hash != origin.request_hash:
            raise ClientOrderIdReused(name or "")
        known = known or order
    if known is None:
        return None
    return shown(scene, known.tenant_id, _made_with(scene, known))._replace(replayed=True)


def _bound_in_sight(scene: Scene, origin: Origin, name: str) -> Order | None:
    order = scene.bound.get((origin.tenant_id, name))
    if order is not None and not scene.sees(origin, (order.tenant_id, order.portfolio_id)):
        raise NotYourPortfolio
    return order


def _made_with(scene: Scene, order: Order) -> list[str]:
    """Return the ids of the orders that one request made: an order, or both of a pair."""
    if order.group_kind not in {GroupKind.OCO, GroupKind.OTO} or not order.group_id or order.replaces:
        return [order.id]
    kin = scene.blotter.group_of(order)
    return sorted(one.id for one in kin if one.request_hash == order.request_hash)


def add(scene: Scene, order: Order) -> Order:
    """Write a new order down, and bind its names."""
    added = scene.blotter.add(order, order.placed_by)
    scene.bound[order.tenant_id, f"/{order.client_order_id}"] = added
    if order.idempotency_key:
        scene.bound[order.tenant_id, order.idempotency_key] = added
    return added


def denied(scene: Scene, order: Order, *gone: Order, confirms: bool = False) -> bool:
    """Let risk judge the order as if those `gone` were, and deny it where risk says no."""
    denial = unsized(order) or judged(scene, order, *gone, confirms=confirms)
    if denial is None:
        return False
    deny(scene, order, denial, order.created_at)
    return True


def ticket_denial(
    scene: Scene, order: Order, legs: list[tuple[Role, Ticket]], *, confirms: bool = False
) -> Denial | None:
    """Return what is wrong with an order or one of its legs: all is judged before the order is sent."""
    return unsized(order) or judged(scene, order, confirms=confirms) or legs_denial(scene, order, legs)


def _is_group_denied(scene: Scene, first: Order, second: Order) -> bool:
    """Judge both orders of a group, and deny the one that is at fault."""
    if first.group_kind is GroupKind.OCO:
        for order in (first, second):
            denial = unsized(order) or judged(scene, order) or pair_denial(scene, order)
            if denial is not None:
                deny(scene, order, denial, order.created_at)
                return True
        return False
    if denied(scene, first):
        return True
    denial = unsized(second) or follower_denial(scene, first, second)
    if denial is not None:
        deny(scene, second, denial, second.created_at)
    return denial is not None


def send(scene: Scene, order: Order) -> None:
    """Hand a judged order to its broker; on paper it is accepted, and meets the market, at once."""
    at = order.created_at
    sent = scene.blotter.move(order, Status.SUBMITTED, at, order.placed_by)
    refusal = rejection(scene.tools.paper, order.id)
    if refusal is not None:
        end(scene, sent, Status.REJECTED, at, sent.broker, broker_words=refusal)
        return
    resting = resting_status(order.filled_quantity, is_triggered=order.is_triggered)
    accepted = scene.blotter.move(sent, resting, at, sent.broker, accepted_at=at)
    meet(scene, accepted, at)


def shown(scene: Scene, tenant_id: int, ids: list[str]) -> Done:
    """Return the orders as they stand now, with the legs of entries and the other parts of closes."""
    orders = []
    for order_id in ids:
        order = scene.blotter.get(tenant_id, order_id)
        legs: list[Order] = []
        if order.role in {Role.ENTRY, Role.CLOSING}:
            legs = scene.blotter.children_of(order)
        orders.append(Shown(order, scene.portfolio(order).name, tuple(sorted(legs, key=_age))))
    return Done(tuple(orders))


def _age(order: Order) -> str:
    return order.id


def _make(scene: Scene, command: PlaceOrder | PlaceGroup, ticket: Ticket, family: Family) -> Order:
    origin = command.origin
    place = scene.place_named(origin.tenant_id, command.portfolio_name, command.portfolio_key)
    home = Home(*place, origin.source, origin.user_id, iso(origin.at), origin.actor)
    order_id = scene.tools.order_ids.next(origin.tenant_id, origin.at)
    return new_order(order_id, home, ticket, sized(scene, origin.tenant_id, ticket), family)


def _hold(scene: Scene, command: PlaceOrder, ticket: Ticket, family: Family) -> None:
    made = _make(scene, command, ticket, family)
    leg = scene.blotter.add(made, made.placed_by)
    scene.blotter.move(leg, Status.HELD, leg.created_at, leg.placed_by)


def sized(scene: Scene, tenant_id: int, ticket: Ticket) -> Decimal:
    """Return the ticket's quantity; of a notional one floor(notional / ask) to the lot, zero without a
    price.
    """
    if ticket.quantity is not None or ticket.notional is None:
        return ticket.quantity or ZERO
    quote = scene.quote(tenant_id, ticket.symbol)
    price = touch("BUY", Prices(quote.bid, quote.ask, quote.last)) if quote else None
    if not price:
        return ZERO
    return floor_to(_floor(ticket.notional, price), scene.instrument(tenant_id, ticket.symbol).lot_size)


def _floor(notional: Decimal, price: Decimal) -> Decimal:
    nearest = ratio(notional, price)
    return nearest if nearest * price <= notional else nearest - Decimal("0.00000001")


def unsized(order: Order) -> Denial | None:
    """Return the denial of an order that a notional gave no quantity, None for any other."""
    if order.quantity:
        return None
    message = "The notional buys not even one lot, or there is no price to tell how much it buys."
    return Denial(_UNSIZED, message, asked=order.notional)


def _send_pair(scene: Scene, first: Order, second: Order) -> None:
    send(scene, first)
    waiting = scene.blotter.get(second.tenant_id, second.id)
    if waiting.status is Status.INITIALIZED:  # the first one may have filled, and cancelled it
        send(scene, waiting)


def _withdraw(scene: Scene, orders: list[Order], at: str) -> None:
    for order in orders:
        now = scene.blotter.get(order.tenant_id, order.id)
        if now.status is Status.INITIALIZED:
            end(scene, now, Status.CANCELED, at, RISK, reason="The other order of the group was denied.")
