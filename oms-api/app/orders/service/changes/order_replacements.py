"""Replace an order by a successor with changed terms."""

from decimal import Decimal
from typing import Any

from app.brokers.rules.trails import TrailDistance, replace_trail_level
from app.errors import Invalid
from app.ledger.rules.accounting import Side
from app.money import ZERO
from app.orders.errors import NotReplaceable, OrderIsFinal, OrderIsPending
from app.orders.rules.approvals import needs_new_approval
from app.orders.rules.broker_requests import is_at_broker
from app.orders.rules.contingency import OCO_ROLES
from app.orders.rules.order_factory import copy_order, get_expiry
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.tickets import list_exit_errors, list_expiry_errors, list_ticket_errors
from app.orders.rules.values import (
    FINAL_STATUSES,
    PENDING_STATUSES,
    Order,
    Role,
    Status,
    Ticket,
    TimeInForce,
    replace_fields,
)
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import (
    build_result,
    find_repeated_change,
    find_repeated_request,
)
from app.orders.service.broker.broker_orders import adopt_children, request_replacement, require_replaceable
from app.orders.service.broker.order_pairs import find_open_entry
from app.orders.service.changes.order_expiry import expire_if_due
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import ReplaceOrder, get_actor
from app.orders.service.contingent_orders.exit_denials import find_change_denial, is_exit_change
from app.orders.service.contingent_orders.groups import (
    complete_order,
    deny_order,
)
from app.orders.service.execution.matching import match_released_orders
from app.orders.service.execution.placement import send_or_request_approval, send_order, store_order
from app.orders.service.risk_checks.approvals import find_required_request
from app.orders.service.risk_checks.order_estimates import find_quantity_denial
from app.orders.service.risk_checks.risk_evaluation import count_order_message, find_denial
from app.orders.service.risk_checks.trading_sessions import set_session_end
from app.risk.rules.values import Denial, TradingState
from app.timestamps import Timestamp, format_timestamp

_FILLED_AMOUNT_FIELDS = ("filled_quantity", "filled_value", "carried_quantity", "carried_value")


def replace_order(context: BatchContext, command: ReplaceOrder) -> OrderResult:
    """Replace the order by a successor. Raises NoSuchOrder, OrderIsFinal, OrderIsPending, Invalid.

    The successor's quantity is the total of the chain, including the filled quantity. If risk denies the
    successor, it is stored as DENIED and the order stays open.
    """
    origin, changes = command.origin, command.changes
    named_order = context.get_visible_order(origin, command.order_id)
    earlier_result = find_repeated_request(context, origin, changes.client_order_id)
    if earlier_result is not None:
        return earlier_result
    order = expire_if_due(context, named_order, format_timestamp(origin.at))
    if order.status in FINAL_STATUSES:
        raise OrderIsFinal(order.id, order.status)
    if order.status in PENDING_STATUSES:
        repeated = find_repeated_change(context, origin, order)
        if repeated is None:
            raise OrderIsPending(order.id, order.status)
        return repeated
    if find_open_entry(context, order) is not None:
        raise NotReplaceable(order.id, "Its broker holds it until the entry has filled: change it then.")
    if is_at_broker(order):
        return _replace_at_broker(context, order, command)
    count_order_message(context, origin, order)
    successor = store_order(context, _build_successor(context, order, command))
    denial = _find_replacement_denial(context, order, successor)
    if denial is not None:
        deny_order(context, successor, denial, successor.created_at)
        no_fills = dict.fromkeys(_FILLED_AMOUNT_FIELDS, ZERO)
        context.order_store.update_fields(context.order_store.get(order.tenant_id, successor.id), **no_fills)
        return build_result(context, order.tenant_id, [successor.id])
    _replace_by_successor(context, order, successor, format_timestamp(origin.at), get_actor(origin))
    return build_result(context, order.tenant_id, [successor.id])


def _replace_at_broker(context: BatchContext, order: Order, command: ReplaceOrder) -> OrderResult:
    """Ask the order's broker for the replacement. The order is PENDING_REPLACE until the broker answers."""
    origin = command.origin
    successor = _build_successor(context, order, command)
    needs_approval = find_required_request(context, successor) is not None
    require_replaceable(
        context, order, successor, needs_approval=needs_approval and needs_new_approval(order, successor)
    )
    count_order_message(context, origin, order)
    denial = _find_replacement_denial(context, order, successor)
    if denial is not None:
        unfilled = replace_fields(successor, **dict.fromkeys(_FILLED_AMOUNT_FIELDS, ZERO))
        deny_order(context, store_order(context, unfilled), denial, successor.created_at)
        return build_result(context, order.tenant_id, [successor.id])
    request_replacement(
        context, order, successor, format_timestamp(origin.at), get_actor(origin), origin.idempotency_key
    )
    return build_result(context, order.tenant_id, [order.id])


def _find_replacement_denial(context: BatchContext, order: Order, successor: Order) -> Denial | None:
    """Return the reason why the successor may not replace the order: by risk, or by its group's exits."""
    if not successor.leaves_quantity:
        return None
    if not is_exit_change(context, order, successor) and _is_checked_now(context, order):
        denial = find_quantity_denial(successor) or find_denial(context, successor, order)
        if denial is not None:
            return denial
    return find_change_denial(context, order, successor)


def _is_checked_now(context: BatchContext, order: Order) -> bool:
    """Return whether the risk checks apply now.

    A held order is checked at its release. A halt applies at once.
    """
    waits = order.status is Status.HELD and context.get_trading_state(order).state is not TradingState.HALTED
    return not waits


def _replace_by_successor(
    context: BatchContext, order: Order, successor: Order, at: Timestamp, actor: str
) -> None:
    previous, is_held = order, order.status is Status.HELD
    if not is_held and order.status is not Status.AWAITING_APPROVAL:
        order = context.order_store.change_status(order, Status.PENDING_REPLACE, at, actor)
    context.order_store.change_status(order, Status.REPLACED, at, order.broker, replaced_by=successor.id)
    adopt_children(context, order, successor)
    if is_held:
        context.order_store.change_status(successor, Status.HELD, at, actor)
    elif successor.quantity <= successor.filled_quantity:
        complete_order(context, successor, at, actor)
        match_released_orders(context, at)
    elif previous.status is Status.AWAITING_APPROVAL or needs_new_approval(previous, successor):
        send_or_request_approval(context, successor)
    else:
        send_order(context, successor)


def _build_successor(context: BatchContext, order: Order, command: ReplaceOrder) -> Order:
    origin, changes = command.origin, command.changes
    at = format_timestamp(origin.at)
    order_id = context.services.order_ids.generate(origin.tenant_id, origin.at, order.id)
    fields: dict[str, Any] = {name: value for name, value in changes._asdict().items() if value is not None}
    if _changes_trail(changes):  # the trail may change from an amount to a percentage or back
        fields |= {"trail_amount": changes.trail_amount, "trail_percent": changes.trail_percent}
    if changes.quantity is not None:  # a smaller quantity completes the order
        fields["quantity"] = max(changes.quantity, order.filled_quantity)
    if changes.time_in_force is not None:
        fields["time_in_force"] = TimeInForce(changes.time_in_force)
        fields.setdefault("expires_at", None)
    if _changes_expiry(changes):
        terms = replace_fields(order, **fields)
        fields["ends_at"] = get_expiry(terms.time_in_force, terms.expires_at, at)
    successor = copy_order(
        order,
        order_id,
        at,
        notional=None,
        source=origin.source,
        actor=origin.actor,
        carried_quantity=order.filled_quantity,
        carried_value=order.filled_value,
        is_triggered=order.is_triggered and changes.stop_price is None,
        replaces=order.id,
        replaced_by=None,
        idempotency_key=origin.idempotency_key,
        request_hash=origin.request_hash,
        **fields,
    )
    _validate_terms(successor, at)
    if _changes_trail(changes):
        successor = replace_fields(successor, trail_level=_compute_trail_level(context, order, successor))
    return set_session_end(context, successor) if _changes_expiry(changes) else successor


def _changes_expiry(changes: OrderChanges) -> bool:
    return changes.time_in_force is not None or changes.expires_at is not None


def _changes_trail(changes: OrderChanges) -> bool:
    return changes.trail_amount is not None or changes.trail_percent is not None


def _compute_trail_level(context: BatchContext, order: Order, changed: Order) -> Decimal | None:
    instrument = context.find_instrument(order.tenant_id, order.symbol)
    before = TrailDistance(order.trail_amount, order.trail_percent)
    after = TrailDistance(changed.trail_amount, changed.trail_percent)
    return replace_trail_level(Side(order.side), order.trail_level, before, after, instrument.tick_size)


def _validate_terms(order: Order, at: Timestamp) -> None:
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
    is_exit = order.role in OCO_ROLES or order.role is Role.FOLLOWER
    errors = (
        list_ticket_errors(ticket)
        or list_expiry_errors(ticket, at)
        or (list_exit_errors(ticket) if is_exit else [])
    )
    if errors:
        raise Invalid("The changed order is not valid; see `errors`.", errors)
