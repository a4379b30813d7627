"""Handle mentions of the bot and direct messages to it."""

import logging
from collections.abc import Mapping
from typing import Any

from slack_bolt import Ack, BoltContext

from app.blocks.replies import build_sentence_reply
from app.blocks.text import escape
from app.delivery.reply_sender import ReplyAddress
from app.errors import ForeignPerson, InvalidCommand, QueueFull
from app.forms.text_commands import parse_text_command
from app.handlers.boundary import Body, get_request_id, guard_handler
from app.handlers.registry import HandlerRegistry
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.event_person import find_event_person
from app.services.queries.text_requests import TextRequest, handle_text_request

log = logging.getLogger(__name__)

HELP_HINT = "Type `help` to see what you can type."


def register(registry: HandlerRegistry, services: Services) -> None:
    """Register the message events of the manifest."""

    @guard_handler
    def handle_message(ack: Ack, body: Body, context: BoltContext) -> None:
        ack()
        event = body.get("event") or {}
        event_id = str(body.get("event_id", ""))
        if not is_addressed_to_bot(event) or not services.recent_deliveries.add(event_id):
            return
        reply_address = build_reply_address(event, get_request_id(context))
        try:
            services.query_workers.submit(
                reply_address.request_id, reply_to_message, services, event, reply_address, event_id
            )
        except QueueFull:
            services.reply_sender.send(reply_address, build_sentence_reply(failure_messages.BUSY))

    registry.event("app_mention")(handle_message)
    registry.event("message")(handle_message)


def is_addressed_to_bot(event: Mapping[str, Any]) -> bool:
    """Return whether a person wrote the message to the bot: directly, or by a mention.

    Edits and messages of bots do not count.
    """
    is_direct = event.get("channel_type") == "im" or event.get("type") == "app_mention"
    return is_direct and bool(event.get("user")) and not event.get("bot_id") and not event.get("subtype")


def build_reply_address(event: Mapping[str, Any], request_id: str) -> ReplyAddress:
    """Return the address of the reply to a message: its thread, if it is in one."""
    return ReplyAddress(
        user=str(event["user"]),
        channel=str(event.get("channel", "")),
        request_id=request_id,
        thread_ts=str(event.get("thread_ts") or ""),
        is_direct=event.get("channel_type") == "im",
    )


def reply_to_message(
    services: Services, event: Mapping[str, Any], reply_address: ReplyAddress, event_id: str
) -> None:
    """Carry out the command in a message, and reply to it."""
    try:
        person = find_event_person(services, event)
        command = parse_text_command(str(event.get("text", "")), services.now())
    except ForeignPerson as error:
        log.warning(
            "Foreign person refused", extra={"request_id": reply_address.request_id, "fault": str(error)}
        )
        services.reply_sender.send(reply_address, build_sentence_reply(failure_messages.FOREIGN_PERSON))
        return
    except InvalidCommand as error:
        services.reply_sender.send(reply_address, build_sentence_reply(f"{escape(str(error))} {HELP_HINT}"))
        return
    handle_text_request(services, TextRequest(person, command, reply_address, event_id))
