"""Decide on orders that wait for approval: approve, reject and expire them, and request overrides."""

from collections.abc import Iterable
from typing import Any

import orjson

from app.ledger.service.commands import CommandOrigin
from app.money import format_fixed, shorten_amount, shorten_quantity
from app.orders.errors import NotAwaitingApproval, NotOverridable, PriceMoved
from app.orders.queries import approvals as queries
from app.orders.rules import approvals as rules
from app.orders.rules.approvals import ApprovalMode, ApprovalPolicy, ApprovalRequest
from app.orders.rules.order_factory import copy_order, get_expiry
from app.orders.rules.values import Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import (
    build_result,
    find_repeated_change,
    find_repeated_request,
    list_history,
)
from app.orders.service.broker.order_pairs import must_wait_for_swap, sort_pairs
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import DecideApproval, RequestOverride, get_actor
from app.orders.service.contingent_orders.exit_denials import find_change_denial
from app.orders.service.contingent_orders.groups import (
    cancel_open_orders,
    complete_order,
    deny_order,
    finalize_order,
)
from app.orders.service.execution.matching import match_released_orders
from app.orders.service.execution.placement import send_order, store_order
from app.orders.service.risk_checks.approvals import (
    SYSTEM,
    Actor,
    await_approval,
    build_request,
    get_reference,
    load_decider,
    load_request,
    publish_approval_event,
    require_decider,
)
from app.orders.service.risk_checks.risk_evaluation import (
    build_risk_input,
    count_order_message,
    find_denial,
    format_denial,
)
from app.orders.service.risk_checks.trading_sessions import set_session_end
from app.risk.rules.values import Denial
from app.timestamps import Timestamp, format_timestamp

_DECISION_BY_STATUS = {
    Status.SUBMITTED: "approved", Status.HELD: "approved", Status.DENIED: "denied", Status.EXPIRED: "expired",
    Status.CANCELED: "canceled", Status.REPLACED: "replaced",
}  # fmt: skip


def decide_approval(context: BatchContext, command: DecideApproval) -> OrderResult:
    """Approve or reject a waiting order. The orders of an OCO pair are decided together.

    Raises NoSuchOrder, NotAwaitingApproval, PriceMoved.
    """
    origin = command.origin
    order = context.get_visible_order(origin, command.order_id)
    repeated = find_repeated_change(context, origin, order)
    if repeated is not None:
        return repeated
    request = load_request(context, order)
    if order.status is not Status.AWAITING_APPROVAL or request is None:
        raise NotAwaitingApproval(order.id, order.status, _find_decision(context, order))
    require_decider(context, order, request, load_decider(context, origin, command.role))
    if command.is_granted:
        _approve(context, order, request, command)
    else:
        _reject(context, order, command)
    return build_result(context, order.tenant_id, [order.id])


def expire_request(context: BatchContext, order: Order, at: Timestamp) -> Order:
    """Expire the order if no decision on it was made in time. Return the order."""
    request = load_request(context, order)
    if order.status is not Status.AWAITING_APPROVAL or request is None or request.expires_at > at:
        return order
    payload = {"order_id": order.id, "portfolio_id": order.portfolio_id, "expires_at": request.expires_at}
    publish_approval_event(context, order.tenant_id, rules.EXPIRED, payload, at, SYSTEM)
    reason = "Nobody approved it in time."
    return finalize_order(context, order, Status.EXPIRED, at, rules.SYSTEM_ACTOR, reason=reason)


def expire_requests(context: BatchContext, requests: Iterable[ApprovalRequest], at: Timestamp) -> None:
    """Expire the orders of these requests that still wait."""
    for request in requests:
        order = context.order_store.find(request.tenant_id, request.order_id)
        if order is not None and order.portfolio_key in context.order_store.portfolio_keys:
            expire_request(context, order, at)


def request_override(context: BatchContext, command: RequestOverride) -> OrderResult:
    """Place a denied order again, so that a second person can allow it to exceed the limit.

    Raises NoSuchOrder and NotOverridable. If another check denies it, it is stored as DENIED.
    """
    origin = command.origin
    earlier_result = find_repeated_request(context, origin)
    if earlier_result is not None:
        return earlier_result
    denied = context.get_visible_order(origin, command.order_id)
    code = _require_overridable(context, denied)
    count_order_message(context, origin, denied)
    order = store_order(context, _copy_order(context, denied, origin))
    policy = ApprovalPolicy(
        ApprovalMode.ALWAYS, approvers=rules.OVERRIDE_APPROVERS, expires_minutes=command.expires_minutes
    )
    override = {
        "rule": rules.OVERRIDE_RULE,
        "override_of": denied.id,
        "waived": code,
        "reason": command.reason,
    }
    risk = build_risk_input(context, order, confirm_repeat=True)
    request = build_request(context, order, policy, risk, order.created_at, **override)
    context.loaded.approval_requests[order.key] = request  # from here on the limit is waived
    denial = find_denial(context, order, confirm_repeat=True)
    if denial is not None:
        del context.loaded.approval_requests[order.key]
        deny_order(context, order, denial, order.created_at)
    else:
        await_approval(context, order, request)
        context.loaded.has_override[denied.key] = True
    return build_result(context, order.tenant_id, [order.id])


def _approve(context: BatchContext, order: Order, request: ApprovalRequest, command: DecideApproval) -> None:
    at, origin = format_timestamp(command.origin.at), command.origin
    price = get_reference(context, order)
    price_seen = request.price_seen if command.price_seen is None else command.price_seen
    if rules.has_price_moved(price_seen, price, request.max_move_percent):
        moved_prices = (_format_amount(price_seen), _format_amount(price) or "")
        raise PriceMoved(order.id, *moved_prices, _format_percent(request))
    orders = _list_decided_together(context, order)
    for decided_order in orders:
        load_request(context, decided_order)
        denial = find_current_denial(context, decided_order)
        if denial is not None:
            deny_order(
                context,
                decided_order,
                denial,
                at,
                request_key=_find_request_key(command, order, decided_order),
            )
            cancel_open_orders(context, orders, at, "risk", reason="The other order of the group was denied.")
            return
    for decided_order in sort_pairs(context, orders):
        if context.order_store.get_current(decided_order).status is not Status.AWAITING_APPROVAL:
            continue  # a fill of the other canceled it
        prices = {"price_seen": _format_amount(price_seen), "price": _format_amount(price)}
        payload = _build_payload(decided_order, command) | prices
        publish_approval_event(
            context, decided_order.tenant_id, rules.GRANTED, payload, at, _build_actor(origin)
        )
        details = {"reason": command.reason, "request_key": _find_request_key(command, order, decided_order)}
        _send(
            context,
            context.order_store.get_current(decided_order),
            at,
            get_actor(origin),
            details,
        )


def _send(context: BatchContext, order: Order, at: Timestamp, actor: str, details: dict[str, Any]) -> None:
    """Send an approved order. A replacement with nothing left to fill becomes FILLED.

    An order of a pair that the service links itself (`must_wait_for_swap`) is HELD while its sibling rests at
    the broker.
    """
    if order.leaves_quantity and must_wait_for_swap(context, order):
        context.order_store.change_status(order, Status.HELD, at, actor, **details)
        return
    if order.leaves_quantity:
        send_order(context, order, at, actor, **details)
        return
    complete_order(context, order, at, actor, **details)
    match_released_orders(context, at)


def find_current_denial(context: BatchContext, order: Order) -> Denial | None:
    """Return the denial of a waiting order, or of its exits, at current prices."""
    if not order.leaves_quantity:
        return None
    return find_denial(context, order, confirm_repeat=True) or find_change_denial(context, order, order)


def _reject(context: BatchContext, order: Order, command: DecideApproval) -> None:
    at, origin = format_timestamp(command.origin.at), command.origin
    actor = get_actor(origin)
    orders = _list_decided_together(context, order)
    for decided_order in orders:
        payload = _build_payload(decided_order, command)
        publish_approval_event(
            context, decided_order.tenant_id, rules.REJECTED, payload, at, _build_actor(origin)
        )
    denial = rules.build_rejection(actor, command.reason)
    for decided_order in orders:
        details = {"reason": denial.message, "request_key": _find_request_key(command, order, decided_order)}
        details["denial"] = format_denial(denial)
        finalize_order(context, decided_order, Status.DENIED, at, actor, **details)


def _list_decided_together(context: BatchContext, order: Order) -> list[Order]:
    """Return the order, and the other order of its OCO pair if that waits too."""
    if order.role is not Role.EITHER:
        return [order]
    group = [context.order_store.get_current(member) for member in context.order_store.list_group(order)]
    waiting_orders = [order for order in group if order.status is Status.AWAITING_APPROVAL]
    return sorted(waiting_orders, key=lambda order: order.id)


def _build_payload(order: Order, command: DecideApproval) -> dict[str, Any]:
    origin = command.origin
    return {
        "order_id": order.id,
        "portfolio_id": order.portfolio_id,
        "decided_by": get_actor(origin),
        "reason": command.reason,
    }


def _build_actor(origin: CommandOrigin) -> Actor:
    name = get_actor(origin)
    return Actor(name, name, origin.source)


def _find_request_key(command: DecideApproval, named_order: Order, order: Order) -> str | None:
    """Return the idempotency key for the order that the request named, None for its sibling."""
    return command.origin.idempotency_key if order.id == named_order.id else None


def _find_decision(context: BatchContext, order: Order) -> dict[str, object] | None:
    """Return how, by whom and when the wait of an order ended, None if it never did."""
    for event in list_history(context, order):
        if event.from_status == Status.AWAITING_APPROVAL != event.to_status:
            decision = _DECISION_BY_STATUS.get(Status(event.to_status), "decided")
            if decision == "denied" and event.actor != "risk":
                decision = "rejected"
            return {"decision": decision, "decided_by": event.actor, "decided_at": event.at}
    return None


def _require_overridable(context: BatchContext, denied: Order) -> str:
    """Return the code of the limit that denied the order. Raises NotOverridable."""
    code = str(orjson.loads(denied.denial)["code"]) if denied.denial else None
    if denied.status is not Status.DENIED or code is None:
        raise NotOverridable(
            f"Order {denied.id} is {denied.status}; only a denial can be overridden, so read the order again."
        )
    if code not in rules.OVERRIDABLE_LIMITS:
        limit_names = ", ".join(sorted(rules.OVERRIDABLE_LIMITS))
        raise NotOverridable(
            f"{code} cannot be overridden; change the order. Limits that can be: {limit_names}."
        )
    if denied.role is not None or denied.group_id is not None or denied.replaces is not None:
        raise NotOverridable("Only a new order without exits can exceed a limit: place it on its own.")
    if load_override(context, denied):
        raise NotOverridable(f"Order {denied.id} has an override already; read the order again.")
    return code


def load_override(context: BatchContext, denied: Order) -> bool:
    """Load whether an override of a denied order is waiting or was granted."""
    loaded = context.loaded.has_override
    if denied.key not in loaded:
        loaded[denied.key] = queries.has_live_override(context.connection, *denied.key)
    return loaded[denied.key]


def _copy_order(context: BatchContext, denied: Order, origin: CommandOrigin) -> Order:
    """Return a new order with the terms of the denied one, placed by the caller."""
    at = format_timestamp(origin.at)
    order_id = context.services.order_ids.generate(origin.tenant_id, origin.at, denied.id)
    order = copy_order(
        denied,
        order_id,
        at,
        ends_at=get_expiry(denied.time_in_force, denied.expires_at, at),
        source=origin.source,
        actor=origin.actor,
        idempotency_key=origin.idempotency_key,
        request_hash=origin.request_hash,
    )
    return set_session_end(context, order)


def _format_amount(amount: Any) -> str | None:
    return None if amount is None else shorten_amount(format_fixed(amount))


def _format_percent(request: ApprovalRequest) -> str:
    return shorten_quantity(format_fixed(request.max_move_percent))
