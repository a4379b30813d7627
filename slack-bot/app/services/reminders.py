"""Remind approvers once of an order that waits, when half of its time has passed."""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.blocks.messages import notice
from app.blocks.notifications import describe_reminder
from app.delivery.notification_store import Notification
from app.delivery.order_messages import MessageKind
from app.errors import OmsError, SlackError, SlackRateLimited, format_log_name
from app.forms.orders.order import AWAITING_APPROVAL
from app.oms_client import Person
from app.services.dependencies import Services

log = logging.getLogger(__name__)

REMINDER = "approval.reminder"


def add_reminder(services: Services, created_at: str, data: Mapping[str, Any]) -> None:
    """Store the reminder of a request for approval. It is due after half of the time to the expiry."""
    try:
        requested_at, expires = (
            datetime.fromisoformat(str(instant)).timestamp()
            for instant in (created_at, data.get("expires_at"))
        )
    except ValueError:
        return
    order_id = str(data.get("order_id") or "")
    services.notifications.add(
        Notification(
            key=f"{services.team}:{order_id}:reminder",
            team=services.team,
            user="",
            channel=order_id,
            event_type=REMINDER,
            text=describe_reminder(
                [str(approver) for approver in data.get("approvers") or ()], str(data["expires_at"])
            ),
            created_at=time.time(),
            due_at=requested_at + (expires - requested_at) / 2,
        )
    )


def send_reminder(services: Services, reminder: Notification) -> bool:
    """Post the reminder in the thread of the request, if the order still waits. Return False to try again."""
    order_id = reminder.channel
    request = services.order_messages.find(order_id, MessageKind.APPROVAL)
    if request is None or not request.is_open:
        return True
    extra, person = {"request_id": reminder.key}, Person.find(request.team, request.user)
    try:
        order = services.orders.get(person, order_id, request_id=reminder.key)
        if order is not None and order.status == AWAITING_APPROVAL:
            services.slack.post(request.channel, notice(reminder.text), request.ts)
    except (OmsError, SlackRateLimited) as error:
        log.info("Reminder delayed", extra=extra | {"fault": format_log_name(error)})
        return False
    except SlackError as error:
        log.warning("Reminder not posted", extra=extra | {"fault": str(error)})
    return True
