"""Post the requests for approval that the events of the OMS or a restart leave without a message.

An order that a program or a signal placed has no message in Slack, only the request for its approval.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from app.blocks.orders.approvals import build_approval_request
from app.delivery.pending_orders import PendingOrder, PendingState
from app.errors import OmsError
from app.forms.orders.order import AWAITING_APPROVAL, Order
from app.oms_client import Person
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.orders.approvals import build_approval_key, queue_approval_message, save_approval_message
from app.services.orders.message_queue import queue_work
from app.services.orders.messages import has_approval_message
from app.services.settings.slack_settings import find_report_channel

log = logging.getLogger(__name__)

FORM_POST_TIMEOUT_SECONDS = 5.0  # between the event of a request and its message, if a form posts it


def announce_approval_request(
    services: Services, payload: Mapping[str, Any], requester: Person | None, request_id: str
) -> None:
    """Store a pending request for approval, and post it soon. `payload` is the payload of the event."""
    order_id = str(payload.get("order_id") or "")
    channel = services.approvals_channel or find_report_channel(services)
    is_other_workspace = requester is not None and requester.team != services.team
    if not order_id or not channel or is_other_workspace or has_approval_message(services, order_id):
        return
    user = requester.user if requester else ""
    key = build_approval_key(services.team, order_id)
    state = PendingState.ANNOUNCED
    pending = PendingOrder(
        key=key,
        submitted_at=time.time(),
        team=services.team,
        user=user,
        channel=channel,
        request_id=request_id,
        order_text="",
        state=state,
    )
    services.pending_orders.add_if_absent(pending)

    def post() -> None:
        try:
            recover_approval_request(services, pending, time.time())
        except OmsError as error:  # the recovery tries again
            log.info("Request not posted yet", extra={"request_id": request_id, "fault": str(error)})

    queue_work(services, f"order:{order_id}", post, request_id, is_paced=False)


def recover_approval_request(services: Services, pending: PendingOrder, now: float) -> None:
    """Post a pending request for approval, or remove it if it is not needed any more. Raises `OmsError`.

    It stays pending while the form that placed the order may still post it, and while another bot posts it.
    """
    order_id = pending.key.rpartition(":")[2]
    person = Person.find(pending.team, pending.user)
    order = services.orders.find_by_id(person, order_id, request_id=pending.request_id)
    if order is not None and _is_being_posted(pending, order, now):
        return
    if not services.pending_orders.claim(pending):
        return
    if order is None or order.status != AWAITING_APPROVAL or has_approval_message(services, order_id):
        services.pending_orders.remove(pending.key)
        return
    is_repeat = pending.state is PendingState.INTERRUPTED
    message = build_approval_request(order)
    ts = services.slack.find_posted(pending.channel, message, pending.submitted_at) if is_repeat else ""
    if ts:
        save_approval_message(services, pending, order_id, pending.channel, ts)
        services.pending_orders.remove(pending.key)
    else:
        queue_approval_message(
            services, pending, order, hint=failure_messages.MAYBE_REPEATED if is_repeat else ""
        )


def _is_being_posted(pending: PendingOrder, order: Order, now: float) -> bool:
    """Return whether the form that placed the order may still post the request, in its own channel."""
    was_placed_by_form = order.client_order_id.startswith(f"{pending.team}:")
    return (
        pending.state is PendingState.ANNOUNCED
        and was_placed_by_form
        and now - pending.submitted_at < FORM_POST_TIMEOUT_SECONDS
    )
