"""Carry out a command in words: reply to it, or open its form."""

import logging
from dataclasses import dataclass, replace

from app.blocks.replies import Reply, build_actions, build_button, build_sentence_reply
from app.delivery.reply_sender import ReplyAddress
from app.errors import OmsError, QueueFull, format_log_name
from app.forms import action_ids
from app.forms.numbers import use_decimal_comma
from app.forms.text_commands import FORM_VERBS, TextCommand, Verb
from app.oms_client import Person
from app.oms_client.portfolio_client import PortfolioClient
from app.services import failure_messages
from app.services.dependencies import Services
from app.services.queries.chart_images import add_chart_images
from app.services.queries.command_replies import REPLY_LOADERS, load_reply
from app.services.queries.exports import send_export
from app.services.request_failures import describe_read_failure
from app.services.request_origin import is_channel
from app.services.settings.preferences import read_preferences

log = logging.getLogger(__name__)

BUTTON_TEXTS = {
    Verb.CANCEL: "Cancel orders…",
    Verb.CLOSE: "Close a position…",
    Verb.HALT: "Stop trading…",
    Verb.RESUME: "Resume trading…",
    Verb.LOGIN: "Log in at a broker…",
    Verb.BACKTEST: "Run a backtest…",
}


@dataclass(frozen=True)
class TextRequest:
    """A command in words, the person who typed it, and the address of its reply.

    `delivery_id` is the same in each delivery of the command: Slack repeats unacknowledged events.
    """

    person: Person
    command: TextCommand
    to: ReplyAddress
    delivery_id: str


def handle_text_request(services: Services, request: TextRequest) -> None:
    """Send the reply to a command. A command that opens a form gets a button, which has a trigger."""
    command = _complete_alert(request)
    request_id = request.to.request_id
    if command.verb is Verb.EXPORT:
        _start_export(services, request)
        return
    extra = {"request_id": request_id, "person": request.person.actor, "verb": command.verb.value}
    is_shared = command.is_shared and command.verb not in FORM_VERBS  # forms are for the person who asks
    if command.verb not in REPLY_LOADERS:
        reply = _build_form_button(command)
    else:
        preferences = read_preferences(services, request.person, request_id)
        try:
            with use_decimal_comma(preferences.has_decimal_comma and not is_shared):
                reply = load_reply(PortfolioClient(services.oms, request.person, request_id), command)
        except OmsError as error:
            log.info("Reply not loaded", extra=extra | {"fault": format_log_name(error)})
            services.reply_sender.send(
                request.to, build_sentence_reply(describe_read_failure(error, request_id))
            )
            return
        reply = add_chart_images(services, reply, request_id)
    log.info("Reply sent", extra=extra)
    services.reply_sender.send(request.to, reply, is_shared=is_shared)


def _complete_alert(request: TextRequest) -> TextCommand:
    """Return the command. Its alert is set once, and delivered to the channel if it is shared there."""
    command, channel = request.command, request.to.channel
    if command.alert is None:
        return command
    alert = replace(command.alert, key=f"{request.person.team}:{request.delivery_id}:alert")
    if command.is_shared and is_channel(channel):
        alert = replace(alert, deliver_to=channel)
    return replace(command, alert=alert)


def _start_export(services: Services, request: TextRequest) -> None:
    """Export on a thread of a separate pool, because a large file takes long."""
    to = request.to
    try:
        services.export_workers.submit(
            to.request_id, send_export, services, request.person, request.command, to
        )
    except QueueFull:
        services.reply_sender.send(to, build_sentence_reply(failure_messages.BUSY))


def _build_form_button(command: TextCommand) -> Reply:
    text = BUTTON_TEXTS[command.verb]
    element = build_button(text, action_ids.FORM_OPEN, command.text)
    return build_sentence_reply(f"`{command.verb}` opens a form.", build_actions(element))
