"""Ask approvers to decide on an order, and pass their decision on to the OMS."""

import logging
import time
from dataclasses import replace
from typing import Any

from app.blocks.messages import Message, add_hint
from app.blocks.orders.approvals import (
    REASON,
    build_approval_request,
    build_decision_form,
    format_review,
)
from app.blocks.orders.form import format_denial
from app.blocks.text import Json, escape
from app.delivery.pending_orders import PendingOrder
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.errors import OmsError, OmsRejected, format_log_name
from app.forms.orders.approvals import DecisionContext
from app.forms.orders.order import AWAITING_APPROVAL, Order
from app.forms.submission import get_entry
from app.oms_client import Person
from app.oms_client.order_wire import parse_denial
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.forms.views import open_view, update_opened_view
from app.services.orders.message_queue import post_message, queue_in_channel
from app.services.orders.messages import has_approval_message, publish_order, refresh_order
from app.services.orders.pending_messages import post_pending_message
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)

APPROVAL_PREFIX = "approval:"  # of the keys of pending requests
PRICE_MOVED = "price-moved"
LOADING = "Loading the order…"
NOT_LISTED = (
    "This order does not wait for your decision: it was decided already, it is your own, or you are not one "
    "of its approvers."
)


def publish_with_approval(
    services: Services, origin: RequestOrigin, order: Order, channel: str, *, key: str, hint: str = ""
) -> None:
    """Post the message of a new order, and the request for approval if it waits for one."""
    _store_request(services, origin, order, channel)  # before the row of the order's message is removed
    publish_order(services, origin, order, channel, key=key, hint=hint)
    publish_approval(services, origin, order, channel)


def publish_approval(
    services: Services, origin: RequestOrigin, order: Order, channel: str, *, hint: str = ""
) -> None:
    """Post the request for approval of an order that waits, in the approvers' channel."""
    pending = _store_request(services, origin, order, channel)
    if pending is not None:
        queue_approval_message(services, pending, order, hint=hint)


def queue_approval_message(
    services: Services, pending: PendingOrder, order: Order, *, hint: str = ""
) -> None:
    """Queue a pending request for approval."""

    def post() -> None:
        message = build_approval_request(order)
        posted_in, ts = _post_request(services, pending, add_hint(message, hint) if hint else message)
        save_approval_message(services, pending, order.id, posted_in, ts)

    def work() -> None:
        post_pending_message(
            services, pending.key, is_posted=lambda: has_approval_message(services, order.id), post=post
        )

    queue_in_channel(services, pending.channel or pending.user, work, pending.request_id)


def save_approval_message(
    services: Services, pending: PendingOrder, order_id: str, channel: str, ts: str
) -> None:
    """Store which message asks for the approval of an order."""
    services.posted_messages.save(
        PostedMessage(
            subject_id=order_id,
            kind=MessageKind.APPROVAL,
            channel=channel,
            ts=ts,
            team=pending.team,
            user=pending.user,
        )
    )


def build_approval_key(team: str, order_id: str) -> str:
    """Return the key of a pending request. Each workspace of a tenant asks its own approvers."""
    return f"{APPROVAL_PREFIX}{team}:{order_id}"


def _post_request(services: Services, pending: PendingOrder, message: Message) -> tuple[str, str]:
    """Post in the channel, else to the person who placed the order, if that is a person in Slack."""
    if person := Person.find(pending.team, pending.user):
        return post_message(services, RequestOrigin(pending.request_id, person, ""), pending.channel, message)
    return pending.channel, services.slack.post(pending.channel, message)


def _store_request(
    services: Services, origin: RequestOrigin, order: Order, channel: str
) -> PendingOrder | None:
    """Store the pending approval request of an order. Return None if none is needed."""
    if order.status != AWAITING_APPROVAL or has_approval_message(services, order.id):
        return None
    person = origin.person
    target = services.approvals_channel or channel
    key = build_approval_key(person.team, order.id)
    pending = PendingOrder(
        key=key,
        submitted_at=time.time(),
        team=person.team,
        user=person.user,
        channel=target,
        request_id=origin.request_id,
        order_text="",
    )
    services.pending_orders.add(pending)
    return pending


def open_decision_form(
    services: Services, origin: RequestOrigin, order_id: str, *, is_approval: bool
) -> None:
    """Open the form in which an approver decides, and fill in the estimates then and now."""
    context = DecisionContext(order_id, is_approval, origin.channel)
    loading = build_decision_form(context, LOADING)
    opened = open_view(services, origin, loading, failure_messages.CLICK_AGAIN)
    if opened is not None:
        form = build_decision_form(context, _load_review(services, origin, order_id))
        update_opened_view(services, origin, opened.view_id, form, opened.hash)


def submit_decision(services: Services, origin: RequestOrigin, view: dict[str, Any]) -> Json:
    """Send the decision of a submitted form. Return the response to Slack."""
    context = DecisionContext.load(str(view.get("private_metadata", "")))
    reason = get_entry(view["state"]["values"], REASON).strip()
    key = f"{origin.person.team}:{view['id']}:{context.price_seen or 'decision'}"
    try:
        _send_decision(services, origin, context, reason, key)
    except OmsError as error:
        log.warning("Not decided", extra={"request_id": origin.request_id, "fault": format_log_name(error)})
        refresh_order(services, context.order_id, origin.request_id)
        return _build_refusal(context, error, reason, origin.request_id)
    refresh_order(services, context.order_id, origin.request_id)
    return {"response_action": "clear"}


def _send_decision(
    services: Services, origin: RequestOrigin, context: DecisionContext, reason: str, key: str
) -> None:
    person, request_id = origin.person, origin.request_id
    if context.is_approval:
        services.orders.approve(
            person, context.order_id, reason, context.price_seen, key=key, request_id=request_id
        )
    else:
        services.orders.reject(person, context.order_id, reason, key=key, request_id=request_id)


def _build_refusal(context: DecisionContext, error: OmsError, reason: str, request_id: str) -> Json:
    """Return the form with the reason why the decision did not count. A moved price can be confirmed."""
    if isinstance(error, OmsRejected) and error.kind == PRICE_MOVED:
        fields = error.members
        price_seen = str(fields.get("price_seen") or "unknown")
        price = str(fields.get("price") or "")
        body = (
            f"*The price has moved* from {escape(price_seen)} to {escape(price)}. "
            f"Press Approve again if you agree to {escape(price)}."
        )
        return _build_update(build_decision_form(replace(context, price_seen=price), body, reason))
    sentence = failure_messages.describe_failed_action(error, request_id)
    denial = parse_denial(error.members) if isinstance(error, OmsRejected) else None
    body = f"{sentence}\n{format_denial(denial)}" if denial else sentence
    return _build_update(build_decision_form(context, body, reason))


def _build_update(view: Json) -> Json:
    return {"response_action": "update", "view": view}


def _load_review(services: Services, origin: RequestOrigin, order_id: str) -> str:
    try:
        waiting = services.orders.list_approvals(origin.person, request_id=origin.request_id)
    except OmsError as error:
        return failure_messages.describe_failed_action(error, origin.request_id)
    for approval in waiting:
        if approval.order.id == order_id:
            return format_review(approval)
    return NOT_LISTED
