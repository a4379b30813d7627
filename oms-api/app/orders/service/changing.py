"""Cancelling, replacing and expiring orders."""

from decimal import Decimal

from app.brokers.rules.trails import Trail, retrailed
from app.clock import iso
from app.errors import Invalid
from app.ledger.rules.accounting import Side
from app.ledger.service.commands import Origin
from app.money import ZERO
from app.orders.errors import OrderIsFinal, OrderIsPending
from app.orders.rules.families import EXITS, SHARING
from app.orders.rules.making import end_of
from app.orders.rules.outcomes import Changes
from app.orders.rules.tickets import end_errors, exit_errors, shape_errors
from app.orders.rules.values import FINAL, Order, Role, Status, Ticket, TimeInForce
from app.orders.service.commands import CancelAll, CancelOrder, Done, ReplaceOrder
from app.orders.service.groups import after_fill, cancel, deny, end
from app.orders.service.halts import opening_in
from app.orders.service.judging import count_message, judged
from app.orders.service.placing import add, repeated_request, send, shown, unsized
from app.orders.service.protection import change_denial, is_exit_change
from app.orders.service.scene import Place, Scene
from app.orders.service.trading import meet_arrivals
from app.risk.rules.values import Denial, TradingState

_CARRIED = ("filled_quantity", "filled_value", "carried_quantity", "carried_value")
_PENDING = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})


def cancel_one(scene: Scene, command: CancelOrder) -> Done:
    """End an order; what filled before stands. Raises NoSuchOrder or OrderIsFinal."""
    origin = command.origin
    order = _as_of_now(scene, scene.order_for(origin, command.order_id), iso(origin.at))
    key = origin.idempotency_key
    if order.status in FINAL:
        if key and scene.was_asked(order, key):
            return shown(scene, order.tenant_id, [order.id])._replace(replayed=True)
        raise OrderIsFinal(order.id, order.status)
    count_message(scene, origin, order)
    cancel(scene, order, iso(origin.at), who(origin), reason=command.reason, request_key=key)
    return shown(scene, order.tenant_id, [order.id])


def cancel_all(scene: Scene, command: CancelAll, places: list[Place]) -> Done:
    """End all open orders of those portfolios that match."""
    origin = command.origin
    ended = []
    for place in places:
        if not scene.sees(origin, place):
            continue
        for known in opening_in(scene, place) if command.keeps_exits else scene.blotter.open_in(place):
            order = scene.blotter.now(known)  # a group may have ended it meanwhile
            if order.status not in FINAL and _matches(order, command):
                cancel(scene, order, iso(origin.at), who(origin), reason=command.reason)
                ended.append(order.id)
    return shown(scene, origin.tenant_id, sorted(ended))


def replace(scene: Scene, command: ReplaceOrder) -> Done:
    """Put a successor in the order's place. Raises NoSuchOrder, OrderIsFinal, OrderIsPending, Invalid.

    The successor's quantity is the total of the chain: what was filled is carried over. Where risk denies the
    successor it is kept as DENIED, and the order works on.
    """
    origin, changes = command.origin, command.changes
    named = scene.order_for(origin, command.order_id)
    known = repeated_request(scene, origin, changes.client_order_id)
    if known is not None:
        return known
    order = _as_of_now(scene, named, iso(origin.at))
    if order.status in FINAL:
        raise OrderIsFinal(order.id, order.status)
    if order.status in _PENDING:
        raise OrderIsPending(order.id, order.status)
    count_message(scene, origin, order)
    successor = add(scene, _successor(scene, order, command))
    denial = _denial(scene, order, successor)
    if denial is not None:
        deny(scene, successor, denial, successor.created_at)
        nothing = dict.fromkeys(_CARRIED, ZERO)
        scene.blotter.replace(scene.blotter.get(order.tenant_id, successor.id), **nothing)
        return shown(scene, order.tenant_id, [successor.id])
    _give_way(scene, order, successor, iso(origin.at), who(origin))
    return shown(scene, order.tenant_id, [successor.id])


def expire(scene: Scene, places: list[Place], at: str) -> None:
    """End what has come to its end."""
    for place in places:
        for known in scene.blotter.overdue_in(place, at):
            _as_of_now(scene, scene.blotter.now(known), at)


def expire_one(scene: Scene, origin: Origin, order_id: str) -> None:
    """End an order of the caller's whose time is over, whatever is asked for it."""
    order = scene.blotter.find(origin.tenant_id, order_id)
    if order is not None and scene.sees(origin, (order.tenant_id, order.portfolio_id)):
        _as_of_now(scene, order, iso(origin.at))


def _as_of_now(scene: Scene, order: Order, at: str) -> Order:
    """Return the order, ended if its time is over by `at`."""
    if order.status in FINAL or order.ends_at is None or order.ends_at > at:
        return order
    return end(scene, order, Status.EXPIRED, at, "calendar")


def who(origin: Origin) -> str:
    """Return who asks: the person, else the key."""
    return origin.actor or origin.source


def _denial(scene: Scene, order: Order, successor: Order) -> Denial | None:
    """Return what keeps the successor from the order's place: of risk, or of the exits of its group."""
    if not successor.leaves_quantity:
        return None
    if not is_exit_change(scene, order, successor) and _is_judged_now(scene, order):
        denial = unsized(successor) or judged(scene, successor, order)
        if denial is not None:
            return denial
    return change_denial(scene, order, successor)


def _is_judged_now(scene: Scene, order: Order) -> bool:
    """Tell whether risk judges the successor. What waits for its entry is
    judged at its release; but a halt lets nothing be replaced.
    """
    waits = order.status is Status.HELD and scene.state(order)[0] is not TradingState.HALTED
    return not waits


def _matches(order: Order, command: CancelAll) -> bool:
    wanted = (command.symbol, command.side, command.strategy)
    facts = (order.symbol, order.side, order.strategy)
    return all(want is None or want == fact for want, fact in zip(wanted, facts, strict=True))


def _give_way(scene: Scene, order: Order, successor: Order, at: str, actor: str) -> None:
    is_held = order.status in {Status.HELD, Status.AWAITING_APPROVAL}
    if not is_held:
        order = scene.blotter.move(order, Status.PENDING_REPLACE, at, actor)
    scene.blotter.move(order, Status.REPLACED, at, order.broker, replaced_by=successor.id)
    if order.role in {Role.ENTRY, Role.CLOSING}:
        for child in scene.blotter.children_of(order):
            is_planned = child.role in EXITS and child.status is Status.HELD
            quantity = successor.quantity if is_planned else child.quantity
            scene.blotter.replace(child, parent_id=successor.id, quantity=quantity)
    if is_held:
        scene.blotter.move(successor, Status.HELD, at, actor)
    elif successor.quantity <= successor.filled_quantity:
        sent = scene.blotter.move(successor, Status.SUBMITTED, at, actor)
        full = scene.blotter.move(sent, Status.FILLED, at, order.broker, reason="Nothing was left to fill.")
        after_fill(scene, full, ZERO, at)
        meet_arrivals(scene, at)
    else:
        send(scene, successor)


def _successor(scene: Scene, order: Order, command: ReplaceOrder) -> Order:
    origin, changes = command.origin, command.changes
    at = iso(origin.at)
    order_id = scene.tools.order_ids.next(origin.tenant_id, origin.at, order.id)
    fields = {name: value for name, value in changes._asdict().items() if value is not None}
    if _trails(changes):  # from an amount to a percentage, or back
        fields |= {"trail_amount": changes.trail_amount, "trail_percent": changes.trail_percent}
    if changes.quantity is not None:  # at or below what filled there is nothing left: it is filled
        fields["quantity"] = max(changes.quantity, order.filled_quantity)
    if changes.time_in_force is not None:
        fields["time_in_force"] = TimeInForce(changes.time_in_force)
        fields.setdefault("expires_at", None)
    changed = order._replace(
        **{**fields, "client_order_id": changes.client_order_id or order_id, "notional": None}
    )
    _check(changed, at)
    return changed._replace(
        id=order_id,
        ends_at=end_of(changed.time_in_force, changed.expires_at, at) if _times(changes) else order.ends_at,
        source=origin.source,
        actor=origin.actor,
        status=Status.INITIALIZED,
        carried_quantity=order.filled_quantity,
        carried_value=order.filled_value,
        trail_level=_trail_level(scene, order, changed) if _trails(changes) else order.trail_level,
        is_triggered=order.is_triggered and changes.stop_price is None,
        replaces=order.id,
        replaced_by=None,
        idempotency_key=origin.idempotency_key,
        request_hash=origin.request_hash,
        event_count=0,
        created_at=at,
        updated_at=at,
        accepted_at=None,
    )


def _times(changes: Changes) -> bool:
    return changes.time_in_force is not None or changes.expires_at is not None


def _trails(changes: Changes) -> bool:
    return changes.trail_amount is not None or changes.trail_percent is not None


def _trail_level(scene: Scene, order: Order, changed: Order) -> Decimal | None:
    instrument = scene.instrument(order.tenant_id, order.symbol)
    before = Trail(order.trail_amount, order.trail_percent)
    after = Trail(changed.trail_amount, changed.trail_percent)
    return retrailed(Side(order.side), order.trail_level, before, after, instrument.tick_size)


def _check(order: Order, at: str) -> None:
    ticket = Ticket(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        time_in_force=order.time_in_force,
        expires_at=order.expires_at,
    )
    is_exit = order.role in SHARING or order.role is Role.FOLLOWER
    errors = shape_errors(ticket) or end_errors(ticket, at) or (exit_errors(ticket) if is_exit else [])
    if errors:
        raise Invalid("The order cannot be changed so.", errors)
