"""Find the orders that need an approval, and who may decide; store the requests, and publish their events."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from app.audit.service import AuditEntry, mask_secrets
from app.identity.queries.people import find_key_creator, list_person_names
from app.ledger.service.commands import CommandOrigin
from app.orders.errors import NotAnApprover, OwnOrder
from app.orders.queries import approvals as queries
from app.orders.rules import approvals as rules
from app.orders.rules.approvals import ApprovalPolicy, ApprovalRequest, Decider
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.values import Order, OrderKey, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.risk_checks.order_estimates import estimate_order, serialize_estimate, sum_exposures
from app.orders.service.risk_checks.risk_evaluation import build_risk_input
from app.risk.rules.exposure import (
    compute_order_value,
    find_order_price,
    get_reducible_quantity,
    get_reference_price,
)
from app.risk.rules.values import RiskInput
from app.timestamps import Timestamp, format_timestamp

_EXEMPT_ROLES = EXIT_ROLES | {Role.CLOSING}  # these orders only reduce a position


class Actor(NamedTuple):
    """The actor: the person or else the key, by `name` and as the audit log names it, and the key (`via`)."""

    name: str
    audited_as: str
    via: str


SYSTEM = Actor(rules.SYSTEM_ACTOR, rules.SYSTEM_ACTOR, rules.SYSTEM_ACTOR)


def find_required_request(
    context: BatchContext,
    order: Order,
    at: Timestamp | None = None,
    *,
    is_covered: bool = False,
    is_forced: bool = False,
) -> ApprovalRequest | None:
    """Return the request for approval that a checked order needs by its portfolio's policy, else None.

    Exits, closing orders and orders that only reduce a position need none. With `is_covered`, the order needs
    one because the other order of its group does. With `is_forced`, the policy covers every order, also that
    of a portfolio without one.
    """
    policy = rules.find_policy(context.get_portfolio(order).approval, is_forced=is_forced)
    if policy is None or order.role in _EXEMPT_ROLES:
        return None
    risk = build_risk_input(context, order, confirm_repeat=True)
    if not is_covered and not _is_covered(context, order, policy, risk):
        return None
    return build_request(context, order, policy, risk, at or order.created_at)


def _is_covered(context: BatchContext, order: Order, policy: ApprovalPolicy, risk: RiskInput) -> bool:
    if order.leaves_quantity <= get_reducible_quantity(risk.symbol_exposure, order.side):
        return False
    price = find_order_price(risk.order, risk.prices)
    value = (
        None
        if price is None or risk.no_rate
        else compute_order_value(order.quantity, price, risk.symbol_exposure.rate)
    )
    exposures = sum_exposures(context, order.portfolio_key)
    equity = context.get_portfolio(order).cash + exposures.net
    return rules.is_covered(policy, order.symbol, value, equity)


def build_request(
    context: BatchContext,
    order: Order,
    policy: ApprovalPolicy,
    risk: RiskInput,
    at: Timestamp,
    **override: Any,
) -> ApprovalRequest:
    """Return a request made at `at`. `override` are the fields that only an override has."""
    expires_at = datetime.fromisoformat(at) + timedelta(minutes=policy.expires_minutes)
    fields: dict[str, Any] = {"rule": policy.mode.value} | override
    return ApprovalRequest(
        tenant_id=order.tenant_id,
        order_id=order.id,
        portfolio_id=order.portfolio_id,
        requested_by=order.placed_by,
        requested_at=at,
        expires_at=format_timestamp(expires_at),
        price_seen=get_reference_price(risk.prices),
        max_move_percent=policy.max_move_percent,
        approvers=orjson.dumps(policy.approvers).decode(),
        estimate=serialize_estimate(estimate_order(context, order, risk)),
        **fields,
    )


def await_approval(context: BatchContext, order: Order, request: ApprovalRequest) -> Order:
    """Set the order to AWAITING_APPROVAL. Store its approval request and publish the event."""
    context.loaded.approval_requests[order.key] = request
    context.extra_writes.append(queries.insert_requests([request]))
    at = request.requested_at
    waiting_order = context.order_store.change_status(order, Status.AWAITING_APPROVAL, at, order.placed_by)
    name = order.actor or f"key:{order.source}"
    publish_approval_event(
        context,
        order.tenant_id,
        rules.REQUESTED,
        rules.build_request_payload(request),
        at,
        Actor(order.placed_by, name, order.source),
    )
    return waiting_order


def load_requests(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load the requests for approval of orders."""
    missing = sorted({order.key for order in orders} - context.loaded.approval_requests.keys())
    if missing:
        context.loaded.approval_requests.update(dict.fromkeys(missing))
        stored = [key for key in missing if not context.order_store.is_new(key)]
        for request in queries.load_approval_requests(context.connection, stored) if stored else ():
            context.loaded.approval_requests[OrderKey(request.tenant_id, request.order_id)] = request


def load_request(context: BatchContext, order: Order) -> ApprovalRequest | None:
    """Return the order's request for approval, None if it never needed one."""
    load_requests(context, [order])
    return context.loaded.approval_requests[order.key]


def publish_approval_event(
    context: BatchContext, tenant_id: int, kind: str, payload: dict[str, Any], at: Timestamp, actor: Actor
) -> None:
    """Add the event of a request or a decision, and its audit entry."""
    context.order_store.add_event(tenant_id, kind, payload, at)
    target = str(payload["order_id"])
    after = mask_secrets({name: value for name, value in payload.items() if name != "order_id"})
    entry = AuditEntry(
        tenant_id,
        at=datetime.fromisoformat(at),
        actor=actor.audited_as,
        via=actor.via,
        action=kind,
        target=target,
        request_id=context.request_id,
        after=after,
    )
    context.audit_entries.append(entry)


def get_reference(context: BatchContext, order: Order) -> Any:
    """Return the order's current reference price: mid, else last, None without a quote."""
    return get_reference_price(context.find_symbol_state(order.tenant_id, order.symbol).prices)


def load_decider(context: BatchContext, origin: CommandOrigin, role: str | None) -> Decider:
    """Return the caller with all names of the person, since `approvers` may contain any of them."""
    key = (origin.tenant_id, origin.actor or "")
    if key not in context.loaded.decider_names:
        context.loaded.decider_names[key] = list_person_names(context.connection, *key)
    return Decider(context.loaded.decider_names[key], role)


def require_decider(context: BatchContext, order: Order, request: ApprovalRequest, decider: Decider) -> None:
    """Raise OwnOrder or NotAnApprover if the person may not decide on the order."""
    load_key_creators(context, [order])
    creator = None if order.actor else context.loaded.key_creators[order.tenant_id, order.source]
    if rules.is_own_order(order, request, decider, creator):
        raise OwnOrder(order.id)
    if not rules.is_approver(request, decider):
        raise NotAnApprover(order.id, ", ".join(orjson.loads(request.approvers)))


def load_key_creators(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load who created the API keys that placed orders for no person."""
    for key in {(order.tenant_id, order.source) for order in orders if not order.actor}:
        if key not in context.loaded.key_creators:
            context.loaded.key_creators[key] = find_key_creator(context.connection, *key)
