"""Remind approvers once of an order that waits, when half of its time has passed."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.blocks.messages import add_hint, build_notice
from app.blocks.notifications import describe_reminder
from app.delivery.notification_store import Notification
from app.delivery.posted_messages import MessageKind
from app.forms.orders.order import AWAITING_APPROVAL
from app.oms_client import Person
from app.services.dependencies import Services
from app.services.failure_messages import POSSIBLE_REPEAT_HINT

REMINDER = "approval.reminder"


def add_reminder(services: Services, created_at: str, payload: Mapping[str, Any]) -> None:
    """Store the reminder of a request for approval. It is due after half of the time to the expiry."""
    try:
        requested_at, expires = (
            datetime.fromisoformat(str(instant)).timestamp()
            for instant in (created_at, payload.get("expires_at"))
        )
    except ValueError:
        return
    order_id = str(payload.get("order_id") or "")
    services.notifications.add(
        Notification(
            key=f"{services.team}:{order_id}:reminder",
            team=services.team,
            user="",
            channel=order_id,
            event_type=REMINDER,
            text=describe_reminder(
                [str(approver) for approver in payload.get("approvers") or ()], str(payload["expires_at"])
            ),
            created_at=time.time(),
            due_at=requested_at + (expires - requested_at) / 2,
        )
    )


def send_reminder(services: Services, reminder: Notification) -> None:
    """Post a reminder in the thread of its request if the order still waits.

    Raises `OmsError` or `SlackError`: then it is tried again later.
    """
    order_id = reminder.channel
    request = services.posted_messages.find(order_id, MessageKind.APPROVAL)
    if request is None or not request.is_open:
        return
    order = services.orders.find_by_id(
        Person.find(request.team, request.user), order_id, request_id=reminder.key
    )
    if order is not None and order.status == AWAITING_APPROVAL:
        message = build_notice(reminder.text)
        hint = POSSIBLE_REPEAT_HINT if reminder.attempts else ""
        services.slack.post(request.channel, add_hint(message, hint) if hint else message, request.ts)
