"""Process contingent orders: apply the fill or the end of an order to the other orders of its group."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from app.money import ZERO, format_plain_amount
from app.orders.rules.broker_requests import is_remote
from app.orders.rules.contingency import EXIT_ROLES, compute_exit_quantity, list_siblings
from app.orders.rules.event_payloads import build_denial_payload
from app.orders.rules.exit_prices import round_to_tick
from app.orders.rules.values import FINAL_STATUSES, GroupKind, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.broker_orders import request_cancel, request_submission
from app.orders.service.broker.order_pairs import find_open_entry, find_resend_reason, is_held_at_broker
from app.orders.service.risk_checks.approvals import await_approval, find_required_request, load_request
from app.orders.service.risk_checks.risk_evaluation import find_denial, format_denial
from app.risk.rules.values import Denial, TradingState
from app.timestamps import Timestamp

GROUP_ACTOR = "group"  # the actor of changes that another order of the group causes
RISK_ACTOR = "risk"


def finalize_order(
    context: BatchContext, order: Order, to: Status, at: Timestamp, actor: str, **fields: Any
) -> Order:
    """End an order and apply its end to its group. `fields` are the fields of the history row."""
    final_order = context.order_store.change_status(order, to, at, actor, **fields)
    apply_end_to_group(context, final_order, at)
    return final_order


def cancel_order(context: BatchContext, order: Order, at: Timestamp, actor: str, **fields: Any) -> Order:
    """Cancel an open order.

    A working order is canceled through its broker; the paper broker confirms at once. For an exit that a
    broker holds, its entry is canceled: the broker ends both. If the entry has ended partly filled, the
    broker may already work the exit.
    """
    entry = find_open_entry(context, order)
    if entry is not None:
        cancel_order(context, entry, at, actor, **fields)
        return order
    if order.status is Status.HELD and is_held_at_broker(context, order):
        order = context.order_store.change_status(order, Status.SUBMITTED, at, order.broker)
    if order.status in {Status.INITIALIZED, Status.HELD, Status.AWAITING_APPROVAL}:
        return finalize_order(context, order, Status.CANCELED, at, actor, **fields)
    if is_remote(order):
        return request_cancel(context, order, at, actor, **fields)
    if order.status is not Status.PENDING_CANCEL:
        order = context.order_store.change_status(order, Status.PENDING_CANCEL, at, actor, **fields)
    return finalize_order(context, order, Status.CANCELED, at, order.broker)


def cancel_open_orders(
    context: BatchContext, orders: Iterable[Order], at: Timestamp, actor: str, *, reason: str | None
) -> list[str]:
    """Cancel the orders, except orders that their group has canceled meanwhile. Return their ids."""
    canceled_ids = []
    for stale_order in orders:
        order = context.order_store.get_current(stale_order)
        if order.status not in FINAL_STATUSES:
            cancel_order(context, order, at, actor, reason=reason)
            canceled_ids.append(order.id)
    return canceled_ids


def complete_order(context: BatchContext, order: Order, at: Timestamp, actor: str, **fields: Any) -> None:
    """Mark a replacement with nothing left to fill as FILLED."""
    sent = context.order_store.change_status(order, Status.SUBMITTED, at, actor, **fields)
    filled_order = context.order_store.change_status(
        sent, Status.FILLED, at, order.broker, reason="Nothing was left to fill."
    )
    apply_fill_to_group(context, filled_order, ZERO, at)


def deny_order(context: BatchContext, order: Order, denial: Denial, at: Timestamp, **fields: Any) -> Order:
    """Deny an order and publish a risk.denied event."""
    text = format_denial(denial)
    payload = build_denial_payload(order, text)
    context.order_store.add_event(order.tenant_id, "risk.denied", payload, at)
    return finalize_order(
        context, order, Status.DENIED, at, RISK_ACTOR, reason=denial.message, denial=text, **fields
    )


def apply_fill_to_group(context: BatchContext, order: Order, quantity: Decimal, at: Timestamp) -> None:
    """Apply a fill of `quantity` to the order's group."""
    if order.role is Role.CLOSING:
        _send_next_part(context, order, at)
    if order.group_kind is None:
        return
    if order.role is Role.ENTRY:
        _apply_entry_fill(context, order, quantity, at)
    else:
        _apply_shared_fill(context, order, quantity, at)


def apply_end_to_group(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Apply the end of an order that did not fill completely to its group."""
    if order.role is Role.ENTRY and (order.group_kind is GroupKind.OTO or not order.filled_quantity):
        children = context.order_store.list_children(order)
        cancel_open_orders(context, children, at, GROUP_ACTOR, reason=f"{order.id} ended")
    if order.role is Role.CLOSING:
        parts = _list_waiting_parts(context, order)
        cancel_open_orders(context, parts, at, GROUP_ACTOR, reason=f"{order.id} ended")
    is_ended_pair = order.role is Role.EITHER and order.status in {Status.CANCELED, Status.EXPIRED}
    if is_ended_pair and (not is_remote(order) or find_resend_reason(context, order) is None):
        siblings = _list_open_siblings(context, order)
        cancel_open_orders(context, siblings, at, GROUP_ACTOR, reason=f"{order.id} ended")


def release_order(context: BatchContext, order: Order, at: Timestamp, **fields: Any) -> Order:
    """Send a held order to the market.

    An exit is always released: it only reduces a position, so neither limits nor a halt deny it. It matches
    from the next quote on. Other orders pass the risk checks again. While a kill switch is not ACTIVE, an
    order that does not pass stays held.
    """
    order_to_send = order._replace(**fields)
    if _only_reduces(context, order_to_send):
        fields |= round_to_tick(
            order_to_send, context.find_instrument(order.tenant_id, order.symbol).tick_size
        )
        return _submit_released_order(context, order, at, **fields)
    denial = find_denial(context, order_to_send)
    if denial is not None and context.get_trading_state(order).state is not TradingState.ACTIVE:
        if order_to_send == order:
            return order
        return context.order_store.record_change(order, at, GROUP_ACTOR, reason=denial.message, **fields)
    if denial is not None:
        return deny_order(context, order, denial, at, **fields)
    request = (
        None if _has_approval_request(context, order) else find_required_request(context, order_to_send, at)
    )
    if request is not None:
        return await_approval(context, context.order_store.update_fields(order, **fields), request)
    return _submit_released_order(context, order, at, **fields)


def _has_approval_request(context: BatchContext, order: Order) -> bool:
    """Return whether the order waited for an approval before, or the first order of its group did.

    An approval of the group does not cover a later replacement.
    """
    if context.get_portfolio(order).approval is None:
        return False
    parent = context.order_store.find_parent(order) if order.replaces is None else None
    return any(
        load_request(context, related_order) is not None
        for related_order in (order, parent)
        if related_order is not None
    )


def _submit_released_order(context: BatchContext, order: Order, at: Timestamp, **fields: Any) -> Order:
    sent = context.order_store.change_status(order, Status.SUBMITTED, at, GROUP_ACTOR, **fields)
    if is_remote(sent):
        request_submission(context, sent, at)
        return sent
    return context.order_store.change_status(sent, Status.ACCEPTED, at, sent.broker, accepted_at=at)


def _only_reduces(context: BatchContext, order: Order) -> bool:
    """Return whether a held order only reduces the position.

    Such an order is an exit, a part of a close, or an OTO follower that only closes.
    """
    if order.role in EXIT_ROLES or order.role is Role.CLOSING:
        return True
    return order.role is Role.FOLLOWER and order.leaves_quantity <= get_closable_quantity(context, order)


def get_closable_quantity(context: BatchContext, order: Order) -> Decimal:
    """Return the quantity that an order of that side may close before the position is flat."""
    position_quantity = context.get_position(order).quantity
    return max(position_quantity if order.side == "SELL" else -position_quantity, ZERO)


def _apply_entry_fill(context: BatchContext, entry: Order, quantity: Decimal, at: Timestamp) -> None:
    children = context.order_store.list_children(entry)
    if entry.group_kind is GroupKind.OTO:
        held_children = [child for child in children if child.status is Status.HELD]
        for child in held_children if entry.status is Status.FILLED else []:
            context.released_orders.append(release_order(context, child, at))
        return
    exit_quantity = compute_exit_quantity(entry, children)
    was_held_before = (
        entry.filled_quantity > quantity
    )  # held since an earlier fill: the position may be smaller
    for child in children:
        if child.status is Status.HELD:
            released_quantity = (
                min(exit_quantity, get_closable_quantity(context, child))
                if was_held_before
                else exit_quantity
            )
            if released_quantity:
                release_order(context, child, at, quantity=released_quantity)
        elif quantity and child.status not in FINAL_STATUSES:
            size = child.quantity + quantity
            reason = f"Quantity increased to {format_plain_amount(size)}"  # it matches from the next quote on
            context.order_store.record_change(
                child, at, GROUP_ACTOR, quantity=size, accepted_at=at, reason=reason
            )


def _send_next_part(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Send the next part of a close after this one has filled, limited to the remaining position."""
    parts = _list_waiting_parts(context, order) if order.status is Status.FILLED else []
    if not parts:
        return
    closable_quantity = get_closable_quantity(context, order)
    if closable_quantity:
        context.released_orders.append(
            release_order(context, parts[0], at, quantity=min(parts[0].quantity, closable_quantity))
        )
    else:
        # This cancels the other parts too.
        cancel_order(context, parts[0], at, GROUP_ACTOR, reason="The position is closed.")


def _list_waiting_parts(context: BatchContext, order: Order) -> list[Order]:
    """Return the held parts of the same close, the next one first."""
    first = order.parent_id or order.id
    open_orders = context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
    parts = [
        order
        for order in open_orders
        if (order.parent_id, order.role, order.status) == (first, Role.CLOSING, Status.HELD)
    ]
    return sorted((part for part in parts if part.id != order.id), key=lambda order: order.id)


def _apply_shared_fill(context: BatchContext, order: Order, quantity: Decimal, at: Timestamp) -> None:
    """Apply a fill of an order that shares its quantity.

    A fill of an exit cancels its entry. The sibling is reduced by the same quantity.
    """
    if order.role in EXIT_ROLES and order.parent_id:
        entry = context.order_store.find_parent(order)
        cancel_open_orders(context, [entry] if entry else [], at, GROUP_ACTOR, reason=f"{order.id} filled")
    for sibling in _list_open_siblings(context, order):
        is_over = order.status is Status.FILLED and order.role is Role.EITHER
        if sibling.leaves_quantity <= quantity or is_over:
            cancel_order(context, sibling, at, GROUP_ACTOR, reason=f"{order.id} filled")
        else:
            size = sibling.quantity - quantity
            context.order_store.record_change(
                sibling,
                at,
                GROUP_ACTOR,
                quantity=size,
                reason=f"Quantity reduced to {format_plain_amount(size)}",
            )


def _list_open_siblings(context: BatchContext, order: Order) -> list[Order]:
    portfolio_key = order.portfolio_key
    return list_siblings(order, context.order_store.list_open_orders_of_symbol(portfolio_key, order.symbol))
