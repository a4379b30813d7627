"""Ask approvers to decide on an order, and pass their decision on to the OMS."""

import logging
from dataclasses import replace
from typing import Any

from app.blocks.orders.approvals import (
    REASON,
    build_approval_request,
    build_decision_form,
    format_review,
)
from app.blocks.orders.form import format_denial
from app.blocks.text import Json, escape
from app.delivery.order_messages import MessageKind, OrderMessage
from app.errors import OmsError, Refused, format_log_name
from app.forms.orders.approvals import DecisionContext
from app.forms.orders.order import AWAITING_APPROVAL, Order
from app.forms.submission import get_entry
from app.oms_client.order_wire import denial_from_facts
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.open_form import open_view, update_opened_view
from app.services.orders.message_queue import post_message, queue_in_channel
from app.services.orders.messages import refresh_order
from app.services.origin import Origin

log = logging.getLogger(__name__)

PRICE_MOVED = "price-moved"
LOADING = "Loading the order…"
NOT_LISTED = (
    "This order does not wait for your decision: it was decided already, it is your own, or you are not one "
    "of its approvers."
)


def publish_approval(services: Services, origin: Origin, order: Order, channel: str) -> None:
    """Post the request for approval of an order that waits, in the approvers' channel."""
    if order.status != AWAITING_APPROVAL:
        return
    target = services.approvals_channel or channel

    def post() -> None:
        posted_in, ts = post_message(services, origin, target, build_approval_request(order))
        person = origin.person
        services.order_messages.save(
            OrderMessage(order.id, MessageKind.APPROVAL, posted_in, ts, person.team, person.user)
        )

    queue_in_channel(services, target or origin.user, post, origin.request_id)


def open_decision_form(services: Services, origin: Origin, order_id: str, *, is_approval: bool) -> None:
    """Open the form in which an approver decides, and fill in the estimates then and now."""
    context = DecisionContext(order_id, is_approval, origin.channel)
    loading = build_decision_form(context, LOADING)
    opened = open_view(services, origin, loading, failure_messages.CLICK_AGAIN)
    if opened is not None:
        form = build_decision_form(context, _review(services, origin, order_id))
        update_opened_view(services, origin, opened.view_id, form, opened.hash)


def decide(services: Services, origin: Origin, view: dict[str, Any]) -> Json:
    """Send the decision of a submitted form. Return the answer to Slack."""
    context = DecisionContext.load(str(view.get("private_metadata", "")))
    reason = get_entry(view["state"]["values"], REASON).strip()
    key = f"{origin.person.team}:{view['id']}:{context.price_seen or 'decision'}"
    try:
        _send(services, origin, context, reason, key)
    except OmsError as error:
        log.warning("Not decided", extra={"request_id": origin.request_id, "fault": format_log_name(error)})
        refresh_order(services, context.order_id, origin.request_id)
        return _build_refusal(context, error, reason, origin.request_id)
    refresh_order(services, context.order_id, origin.request_id)
    return {"response_action": "clear"}


def _send(services: Services, origin: Origin, context: DecisionContext, reason: str, key: str) -> None:
    person, request_id = origin.person, origin.request_id
    if context.is_approval:
        services.orders.approve(
            person, context.order_id, reason, context.price_seen, key=key, request_id=request_id
        )
    else:
        services.orders.reject(person, context.order_id, reason, key=key, request_id=request_id)


def _build_refusal(context: DecisionContext, error: OmsError, reason: str, request_id: str) -> Json:
    """Return the form with the reason why the decision did not count. A moved price can be confirmed."""
    if isinstance(error, Refused) and error.kind == PRICE_MOVED:
        facts = error.facts
        seen, price = str(facts.get("price_seen") or "unknown"), str(facts.get("price") or "")
        body = (
            f"*The price has moved* from {escape(seen)} to {escape(price)}. "
            f"Press Approve again if you agree to {escape(price)}."
        )
        return _update(build_decision_form(replace(context, price_seen=price), body, reason))
    sentence = failure_messages.not_decided(error, request_id)
    denial = denial_from_facts(error.facts) if isinstance(error, Refused) else None
    body = f"{sentence}\n{format_denial(denial)}" if denial else sentence
    return _update(build_decision_form(context, body, reason))


def _update(view: Json) -> Json:
    return {"response_action": "update", "view": view}


def _review(services: Services, origin: Origin, order_id: str) -> str:
    try:
        waiting = services.orders.list_approvals(origin.person, request_id=origin.request_id)
    except OmsError as error:
        return failure_messages.not_decided(error, origin.request_id)
    found = next((each for each in waiting if each.order.id == order_id), None)
    return format_review(found) if found else NOT_LISTED
