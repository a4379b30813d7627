"""Contingent orders: what the fill or the end of one does to the others of its group."""

from decimal import Decimal
from typing import Any

from app.money import ZERO
from app.orders.rules.contingency import EXITS, exit_quantity, find_siblings
from app.orders.rules.event_payloads import build_denial_payload
from app.orders.rules.protection import round_to_tick
from app.orders.rules.values import FINAL, GroupKind, Order, Role, Status
from app.orders.service.batch_context import BatchContext, shortest
from app.orders.service.risk_evaluation import denial_text, find_denial
from app.risk.rules.values import Denial, TradingState

GROUPS = "group"  # who moves an order because another one moved
RISK = "risk"


def close_order(context: BatchContext, order: Order, to: Status, at: str, actor: str, **facts: Any) -> Order:
    """End an order, and do what that does to its group; `facts` are those of a move."""
    ended = context.order_store.move(order, to, at, actor, **facts)
    after_end(context, ended, at)
    return ended


def cancel(context: BatchContext, order: Order, at: str, actor: str, **facts: Any) -> Order:
    """Cancel an open order: at the market through its broker, which on paper confirms at once."""
    if order.status in {Status.INITIALIZED, Status.HELD, Status.AWAITING_APPROVAL}:
        return close_order(context, order, Status.CANCELED, at, actor, **facts)
    if order.status is not Status.PENDING_CANCEL:
        order = context.order_store.move(order, Status.PENDING_CANCEL, at, actor, **facts)
    return close_order(context, order, Status.CANCELED, at, order.broker)


def deny(context: BatchContext, order: Order, denial: Denial, at: str, **fields: Any) -> Order:
    """End an order because risk said no, and say so."""
    text = denial_text(denial)
    facts = build_denial_payload(order, text)
    context.order_store.add_event(order.tenant_id, "risk.denied", facts, at)
    return close_order(context, order, Status.DENIED, at, RISK, reason=denial.message, denial=text, **fields)


def after_fill(context: BatchContext, order: Order, quantity: Decimal, at: str) -> None:
    """Do what a fill of `quantity` does to the order's group."""
    if order.role is Role.CLOSING:
        _part_filled(context, order, at)
    if order.group_kind is None:
        return
    if order.role is Role.ENTRY:
        _entry_filled(context, order, quantity, at)
    else:
        _share_filled(context, order, quantity, at)


def after_end(context: BatchContext, order: Order, at: str) -> None:
    """Do what the end of an order without completion does to its group."""
    if order.role is Role.ENTRY and (order.group_kind is GroupKind.OTO or not order.filled_quantity):
        for child in _children(context, order):
            if child.status not in FINAL:
                cancel(context, child, at, GROUPS, reason=f"{order.id} ended")
    if order.role is Role.CLOSING:
        _cancel_parts(context, order, at)
    if order.role is Role.EITHER and order.status in {Status.CANCELED, Status.EXPIRED}:
        for sibling in _open_siblings(context, order):
            cancel(context, sibling, at, GROUPS, reason=f"{order.id} ended")


def release(context: BatchContext, order: Order, at: str, **fields: Any) -> Order:
    """Send a held order to the market. An exit is always released: it only reduces, so neither limits nor a
    halt deny it, and it meets the market from the next quote on. Others are judged again; a halted one stays
    held until the switch is ACTIVE.
    """
    wanted = order._replace(**fields)
    if _only_reduces(context, wanted):
        fields |= round_to_tick(wanted, context.instrument(order.tenant_id, order.symbol).tick_size)
        return _released(context, order, at, **fields)
    denial = find_denial(context, wanted)
    if denial is not None and context.state(order)[0] is not TradingState.ACTIVE:
        if wanted == order:
            return order
        return context.order_store.note(order, at, GROUPS, reason=denial.message, **fields)
    if denial is not None:
        return deny(context, order, denial, at, **fields)
    return _released(context, order, at, **fields)


def _released(context: BatchContext, order: Order, at: str, **fields: Any) -> Order:
    sent = context.order_store.move(order, Status.SUBMITTED, at, GROUPS, **fields)
    return context.order_store.move(sent, Status.ACCEPTED, at, sent.broker, accepted_at=at)


def _only_reduces(context: BatchContext, order: Order) -> bool:
    """Tell whether a held order is an exit: of a bracket, or the second of an OTO that only closes; or a
    part of a close.
    """
    if order.role in EXITS or order.role is Role.CLOSING:
        return True
    return order.role is Role.FOLLOWER and order.leaves_quantity <= left_to_take(context, order)


def left_to_take(context: BatchContext, order: Order) -> Decimal:
    """Return how much an order of that side may take off the position before it is flat."""
    held = context.position(order).quantity
    return max(held if order.side == "SELL" else -held, ZERO)


def _entry_filled(context: BatchContext, entry: Order, quantity: Decimal, at: str) -> None:
    children = _children(context, entry)
    if entry.group_kind is GroupKind.OTO:
        held = [child for child in children if child.status is Status.HELD]
        for child in held if entry.status is Status.FILLED else []:
            context.arrivals.append(release(context, child, at))
        return
    grown = exit_quantity(entry, children)
    was_kept = entry.filled_quantity > quantity  # and may have been closed in part since
    for child in children:
        if child.status is Status.HELD:
            due = min(grown, left_to_take(context, child)) if was_kept else grown
            if due:
                release(context, child, at, quantity=due)
        elif quantity and child.status not in FINAL:
            size = child.quantity + quantity
            reason = f"Grew to {shortest(size)}"  # and matches from the next quote on, as after its release
            context.order_store.note(child, at, GROUPS, quantity=size, accepted_at=at, reason=reason)


def _part_filled(context: BatchContext, order: Order, at: str) -> None:
    """Send the next part of a close once this one is filled, for what there is left to take."""
    parts = _waiting_parts(context, order) if order.status is Status.FILLED else []
    if not parts:
        return
    left = left_to_take(context, order)
    if left:
        context.arrivals.append(release(context, parts[0], at, quantity=min(parts[0].quantity, left)))
    else:
        cancel(context, parts[0], at, GROUPS, reason="The position is closed.")  # and with it the others


def _cancel_parts(context: BatchContext, order: Order, at: str) -> None:
    for part in _waiting_parts(context, order):
        if context.order_store.now(part).status is Status.HELD:  # the end of another may have ended it
            cancel(context, part, at, GROUPS, reason=f"{order.id} ended")


def _waiting_parts(context: BatchContext, order: Order) -> list[Order]:
    """Return the parts of the same close that are not sent yet, the next one first."""
    first = order.parent_id or order.id
    here = context.order_store.open_of((order.tenant_id, order.portfolio_id), order.symbol)
    parts = [
        one for one in here if (one.parent_id, one.role, one.status) == (first, Role.CLOSING, Status.HELD)
    ]
    return sorted((one for one in parts if one.id != order.id), key=lambda one: one.id)


def _share_filled(context: BatchContext, order: Order, quantity: Decimal, at: str) -> None:
    """A fill of one of two that share a quantity: an exit ends the entry's rest, and the sibling loses as
    much.
    """
    if order.role in EXITS and order.parent_id:
        entry = context.order_store.parent_of(order)
        if entry is not None and entry.status not in FINAL:
            cancel(context, entry, at, GROUPS, reason=f"{order.id} filled")
    for sibling in _open_siblings(context, order):
        is_over = order.status is Status.FILLED and order.role is Role.EITHER
        if sibling.leaves_quantity <= quantity or is_over:
            cancel(context, sibling, at, GROUPS, reason=f"{order.id} filled")
        else:
            size = sibling.quantity - quantity
            context.order_store.note(sibling, at, GROUPS, quantity=size, reason=f"Cut to {shortest(size)}")


def _open_siblings(context: BatchContext, order: Order) -> list[Order]:
    portfolio_key = (order.tenant_id, order.portfolio_id)
    return find_siblings(order, context.order_store.open_of(portfolio_key, order.symbol))


def _children(context: BatchContext, entry: Order) -> list[Order]:
    """Return the orders that wait for the entry, the ended ones included."""
    return context.order_store.children_of(entry)
