"""Show the events of each strategy in a thread of the channel for reports."""

import logging
from collections.abc import Mapping
from typing import Any

from app.blocks.messages import build_notice
from app.blocks.strategy_threads import build_strategy_message, describe_strategy_event
from app.delivery.message_sender import send_with_claim
from app.delivery.posted_messages import MessageKind, PostedMessage
from app.delivery.send_queue import SendJob
from app.errors import QueueFull, SlackError, SlackRateLimited
from app.services.dependencies import Services
from app.services.pending_notices import store_thread_line
from app.services.settings.slack_settings import find_report_channel

log = logging.getLogger(__name__)


def show_strategy_event(
    services: Services, event_type: str, payload: Mapping[str, Any], event_id: str
) -> None:
    """Add a line to the thread of a strategy, and show its status in the first message. Return at once.

    The line is stored first. If the bot is killed before it is posted, it is posted later.
    """
    name = str(payload.get("name") or "")
    portfolio = str(payload.get("portfolio_name") or "")
    message = _find_message(services, name)
    channel = message.channel if message else find_report_channel(services, portfolio)
    if not name or not channel:
        return
    line = describe_strategy_event(event_type, payload)
    claim = store_thread_line(services, channel, _build_key(services, name), line, event_id)

    def send() -> None:
        try:
            thread_ts = _show_status(services, name, channel, payload)
            send_with_claim(
                claim, lambda: services.slack.post(channel, build_notice(line), thread_ts=thread_ts), event_id
            )
        except SlackRateLimited:
            raise
        except SlackError as error:
            log.warning("Strategy not shown", extra={"request_id": event_id, "fault": str(error)})

    def log_abandoned() -> None:
        log.warning("Strategy given up", extra={"request_id": event_id})

    try:
        services.send_queue.put(f"channel:{channel}", SendJob(send, log_abandoned))
    except QueueFull:
        log_abandoned()


def _show_status(services: Services, name: str, channel: str, payload: Mapping[str, Any]) -> str:
    """Edit the first message of the thread, or post it. Return its timestamp. Raises `SlackError`."""
    message = build_strategy_message(payload)
    order_message = _find_message(services, name)
    if order_message is not None and not payload.get("status"):
        return order_message.ts
    if order_message and services.slack.edit_message(order_message.channel, order_message.ts, message):
        return order_message.ts
    ts = services.slack.post(channel, message)
    key = _build_key(services, name)
    services.posted_messages.save(
        PostedMessage(
            subject_id=key,
            kind=MessageKind.STRATEGY,
            channel=channel,
            ts=ts,
            team=services.team,
            user="",
            is_open=False,
        )
    )
    return ts


def _find_message(services: Services, name: str) -> PostedMessage | None:
    return services.posted_messages.find(_build_key(services, name), MessageKind.STRATEGY)


def _build_key(services: Services, name: str) -> str:
    """Return the id of the message: workspaces may have strategies of one name."""
    return f"{services.team}:{name}"
