"""Reverse a reported trade: by its author, within a minute, with a reason."""

import json
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.blocks.messages import Message, add_hint, build_notice
from app.blocks.text import Json, build_section, format_literal, truncate
from app.blocks.trade_buttons import build_reversal_form
from app.delivery.message_sender import DeliveryClaim, send_with_claim
from app.delivery.notification_store import CLAIM_SECONDS, Notification
from app.errors import OmsError, OutcomeUnknown, SlackError, format_log_name
from app.forms.submission import get_entry
from app.forms.trade_buttons import MAX_TEXT_CHARACTERS, REASON, ReversalContext, read_again_value
from app.oms_client import Person
from app.services import failure_messages
from app.services.clicked_message import ClickedMessage
from app.services.dependencies import Services
from app.services.failure_messages import MAYBE_REPEATED
from app.services.forms.views import open_view
from app.services.request_origin import RequestOrigin
from app.services.trades.form import open_form

log = logging.getLogger(__name__)

REVERSAL = "trade.reversal"  # type of the stored reversals
NOT_AUTHOR = "Only <@{user}>, who reported this trade, can reverse it here."
TOO_LATE = (
    "A trade can be reversed here for one minute only. To correct it, report the opposite trade, or ask "
    "an administrator to reverse it."
)


def open_reversal_form(
    services: Services, origin: RequestOrigin, value: str, clicked: ClickedMessage
) -> None:
    """Open the form that asks for the reason, or notify the person why they cannot reverse the trade here."""
    button = ReversalContext.load(value)
    refusal = find_reversal_refusal(button, origin, datetime.fromtimestamp(time.time(), UTC))
    if refusal:
        services.message_sender.respond(origin.get_recipient(), origin.response_url, build_notice(refusal))
        return
    text = truncate(clicked.text, MAX_TEXT_CHARACTERS)
    context = ReversalContext(
        trade_id=button.trade_id,
        user=button.user,
        recorded_at=button.recorded_at,
        channel=clicked.channel,
        ts=clicked.ts,
        text=text,
    )
    open_view(services, origin, build_reversal_form(context), failure_messages.CLICK_AGAIN)


def open_form_again(services: Services, origin: RequestOrigin, value: str, _clicked: ClickedMessage) -> None:
    """Open the trade form for a trade like the clicked one."""
    open_form(services, origin, read_again_value(value), failure_messages.CLICK_AGAIN)


def find_reversal_refusal(context: ReversalContext, origin: RequestOrigin, now: datetime) -> str:
    """Return why the person cannot reverse the trade. Empty if they can."""
    if origin.user != context.user:
        return NOT_AUTHOR.format(user=context.user) if context.user else TOO_LATE
    return "" if context.is_recent(now) else TOO_LATE


def reverse_trade(services: Services, origin: RequestOrigin, view: dict[str, Any]) -> Json:
    """Reverse the trade of a submitted form once. Return the response to Slack.

    The person and the minute are checked again, because the form may have been open for long.
    """
    context = ReversalContext.load(str(view.get("private_metadata", "")))
    refusal = find_reversal_refusal(context, origin, datetime.fromtimestamp(time.time(), UTC))
    if refusal:
        return {"response_action": "update", "view": build_reversal_form(context, refusal)}
    reason = get_entry(view["state"]["values"], REASON).strip()
    claim = _store_reversal(services, origin, context, reason)
    try:
        services.orders.reverse(
            origin.person,
            context.trade_id,
            reason,
            key=_build_key(origin.person.team, context.trade_id),
            request_id=origin.request_id,
        )
    except OmsError as error:
        log.warning("Not reversed", extra={"request_id": origin.request_id, "fault": format_log_name(error)})
        if claim is not None and not isinstance(error, OutcomeUnknown):
            claim.finish()
        sentence = failure_messages.describe_failed_action(error, origin.request_id)
        return {"response_action": "update", "view": build_reversal_form(context, sentence)}
    _show_reversal(services, origin, context, reason, claim)
    return {"response_action": "clear"}


def send_reversal(services: Services, notification: Notification) -> None:
    """Show a reversal that a bot left when it was killed, if the OMS has made it.

    Raises `OmsError` or `SlackError`.
    """
    values = json.loads(notification.text)
    person = Person(notification.team, str(values["user"]))
    if services.oms.find_trade(person, notification.key, request_id=notification.key) is None:
        return
    context = ReversalContext.load(str(values["context"]))
    message = _build_message(context, person.user, str(values["reason"]))
    if not services.slack.edit_message(context.channel, context.ts, message):
        hint = MAYBE_REPEATED if notification.attempts else ""
        services.slack.post(context.channel, add_hint(message, hint) if hint else message)


def _build_key(team: str, trade_id: str) -> str:
    """Return the idempotency key of a reversal."""
    return f"{team}:{trade_id}:reverse"


def _store_reversal(
    services: Services, origin: RequestOrigin, context: ReversalContext, reason: str
) -> DeliveryClaim | None:
    """Store that a reversal must be shown if the OMS makes it. Return the right to show it."""
    now = time.time()
    values = {"user": origin.user, "context": context.dump(), "reason": reason}
    return services.notifications.add_and_claim(
        Notification(
            key=_build_key(origin.person.team, context.trade_id),
            team=origin.person.team,
            user="",
            channel=context.channel,
            event_type=REVERSAL,
            text=json.dumps(values),
            created_at=now,
            due_at=now + CLAIM_SECONDS,
        )
    )


def _build_message(context: ReversalContext, user: str, reason: str) -> Message:
    text = f"{context.text}\n*Reversed* by <@{user}>: {format_literal(reason)}"
    return Message(text, (build_section(text),), trade_id=context.trade_id)


def _show_reversal(
    services: Services,
    origin: RequestOrigin,
    context: ReversalContext,
    reason: str,
    claim: DeliveryClaim | None,
) -> None:
    """Show the reversal in the confirmation of the trade, which keeps no buttons."""
    message = _build_message(context, origin.user, reason)
    try:
        send_with_claim(
            claim,
            lambda: services.slack.update_message(context.channel, context.ts, message),
            origin.request_id,
        )
    except SlackError as error:
        log.warning("Reversal not shown", extra={"request_id": origin.request_id, "fault": str(error)})
        services.message_sender.post_to_channel(
            replace(origin.get_recipient(context.channel), claim=claim), message
        )
