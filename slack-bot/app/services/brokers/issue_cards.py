"""Show differences from brokers' books as cards in the channel. A card is stored until Slack has it."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from app.blocks.messages import Message, add_hint
from app.blocks.reconciliation import build_issue_card
from app.delivery.message_sender import DeliveryClaim, send_with_claim
from app.delivery.notification_store import CLAIM_SECONDS, Notification
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.delivery.send_queue import SendJob
from app.errors import QueueFull, SlackError, SlackRateLimited
from app.services.dependencies import Services
from app.services.failure_messages import MAYBE_REPEATED
from app.services.settings.slack_settings import find_report_channel

log = logging.getLogger(__name__)

CARD = "reconciliation.card"  # type of the stored cards


def show_issue(services: Services, payload: Mapping[str, Any], event_id: str) -> None:
    """Post the card of an issue, or edit the existing card. Return at once.

    The card is stored first. If Slack does not take it, or the bot is killed, it is sent later.
    """
    issue_id = str(payload.get("issue_id") or "")
    issue_message = services.posted_messages.find(issue_id, MessageKind.ISSUE)
    portfolio = str(payload.get("portfolio_name") or "")
    channel = issue_message.channel if issue_message else find_report_channel(services, portfolio)
    if not issue_id or not channel:
        return
    claim = _store_card(services, issue_id, channel, payload, event_id)
    card = build_issue_card(payload)

    def send() -> None:
        try:
            send_with_claim(claim, lambda: _show_card(services, issue_id, channel, card), event_id)
        except SlackRateLimited:
            raise
        except SlackError as error:
            log.warning("Issue not shown yet", extra={"request_id": event_id, "fault": str(error)})

    def log_delayed() -> None:
        log.warning("Issue delayed", extra={"request_id": event_id})

    try:
        services.send_queue.put(f"channel:{channel}", SendJob(send, log_delayed))
    except QueueFull:
        log_delayed()


def send_card(services: Services, notification: Notification) -> None:
    """Send a card that Slack did not take, or that a bot left when it was killed. Raises `SlackError`."""
    card = build_issue_card(json.loads(notification.text))
    hint = MAYBE_REPEATED if notification.attempts else ""
    _show_card(services, notification.thread, notification.channel, card, hint)


def _store_card(
    services: Services, issue_id: str, channel: str, payload: Mapping[str, Any], event_id: str
) -> DeliveryClaim | None:
    """Store a card, and remove the earlier cards of the issue. Return the right to send it."""
    now = time.time()
    card = Notification(
        key=f"{event_id}:{channel}",
        team=services.team,
        user="",
        channel=channel,
        event_type=CARD,
        text=json.dumps(payload),
        created_at=now,
        due_at=now + CLAIM_SECONDS,
        thread=issue_id,
    )
    services.notifications.remove_replaced(card)
    return services.notifications.add_and_claim(card)


def _show_card(services: Services, issue_id: str, channel: str, card: Message, hint: str = "") -> None:
    current = services.posted_messages.find(issue_id, MessageKind.ISSUE)
    if current and services.slack.edit_message(current.channel, current.ts, card):
        return
    ts = services.slack.post(channel, add_hint(card, hint) if hint else card)
    services.posted_messages.save(
        PostedMessage(
            subject_id=issue_id,
            kind=MessageKind.ISSUE,
            channel=channel,
            ts=ts,
            team=services.team,
            user="",
            is_open=False,
        )
    )
