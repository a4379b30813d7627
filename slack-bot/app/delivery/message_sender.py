"""Choose the route of a message: the channel, else the response URL, else a direct message."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.blocks.messages import Message, add_hint
from app.delivery.response_urls import ResponseUrls
from app.delivery.send_queue import SendJob, SendQueue
from app.delivery.slack_api import SlackApi
from app.errors import QueueFull, SlackError, SlackRateLimited, SlackRefused, SlackUnreachable

log = logging.getLogger(__name__)

INVITE_HINT = (
    "I could not post this in <#{channel}>. To let me post there, type `/invite` and my name in that channel."
)
MAYBE_HINT = "Slack did not confirm whether this reached <#{channel}>."


class DeliveryClaim(Protocol):
    """The right to send a pending message. It records the progress, so that a crash loses nothing."""

    def begin(self) -> bool:
        """Record that the call to Slack starts. Return False if another bot has the right now."""

    def retract(self) -> None:
        """Record that Slack refused the message."""

    def finish(self) -> None:
        """Record that Slack accepted the message."""


def send_with_claim(claim: DeliveryClaim | None, send: Callable[[], object], request_id: str) -> None:
    """Send a message unless another bot has the right now, and record the progress. Raises `SlackError`."""
    if claim is None:
        send()
        return
    if not claim.begin():
        log.info("Message left to another bot", extra={"request_id": request_id})
        return
    try:
        send()
    except (SlackRateLimited, SlackRefused):
        claim.retract()
        raise
    claim.finish()


@dataclass(frozen=True)
class Recipient:
    """The recipient of a message and the channel it concerns.

    `view_id` identifies the response URL of the command. `claim` is set for a message that must survive a
    crash; it records when the message was sent.
    """

    user: str
    channel: str
    view_id: str
    request_id: str
    claim: DeliveryClaim | None = None


class MessageSender:
    """Post confirmations in the channel and send private messages to the person.

    If a route fails, the next one is tried.
    """

    def __init__(self, slack: SlackApi, send_queue: SendQueue, urls: ResponseUrls):
        self._slack = slack
        self._send_queue = send_queue
        self._urls = urls

    def post_to_channel(self, to: Recipient, message: Message) -> None:
        """Post in the channel where the command was typed. If that fails, send it to the person."""
        if to.channel:
            self._queue_message(
                f"channel:{to.channel}",
                to,
                lambda: self._send_to_channel(to, message),
                message,
                is_paced=True,
            )
        else:
            self._queue_direct(to, message)

    def send_privately(self, to: Recipient, message: Message) -> None:
        """Send a message that only the person sees."""
        self._queue_message(
            f"person:{to.user}",
            to,
            lambda: self._send_to_response_url(to, message, in_channel=False),
            message,
        )

    def respond(self, to: Recipient, url: str, message: Message) -> None:
        """Send a message that only the person sees, by the response URL of a command that opened no form."""
        self._queue_message(
            f"person:{to.user}", to, lambda: self._send_by_url(to, url, message, in_channel=False), message
        )

    def _send_to_channel(self, to: Recipient, message: Message) -> None:
        try:
            self._send_claimed(to, lambda: self._slack.post(to.channel, message))
        except SlackRateLimited:
            raise
        except SlackUnreachable as error:
            self._log_failure(to, "channel", error)
            self._queue_direct(to, add_hint(message, MAYBE_HINT.format(channel=to.channel)))
        except SlackError as error:
            self._log_failure(to, "channel", error)
            self._send_to_response_url(to, message, in_channel=True)

    def _send_to_response_url(self, to: Recipient, message: Message, *, in_channel: bool) -> None:
        url = self._urls.take(to.view_id)
        if url is None:
            self._queue_direct(to, self._add_invite_hint(to, message, was_for_channel=in_channel))
        else:
            self._send_by_url(to, url, message, in_channel=in_channel)

    def _send_by_url(self, to: Recipient, url: str, message: Message, *, in_channel: bool) -> None:
        try:
            self._send_claimed(to, lambda: self._slack.respond(url, message, in_channel=in_channel))
        except SlackError as error:
            self._log_failure(to, "response_url", error)
            self._queue_direct(to, self._add_invite_hint(to, message, was_for_channel=in_channel))

    def _add_invite_hint(self, to: Recipient, message: Message, *, was_for_channel: bool) -> Message:
        return add_hint(message, INVITE_HINT.format(channel=to.channel)) if was_for_channel else message

    def _send_direct(self, to: Recipient, message: Message) -> None:
        try:
            self._send_claimed(
                to, lambda: self._slack.post(self._slack.open_direct_channel(to.user), message)
            )
        except SlackRateLimited:
            raise
        except SlackError as error:
            self._log_failure(to, "direct", error)

    def _send_claimed(self, to: Recipient, send: Callable[[], object]) -> None:
        send_with_claim(to.claim, send, to.request_id)

    def _queue_direct(self, to: Recipient, message: Message) -> None:
        def log_abandoned() -> None:
            self._log_failure(to, "direct", QueueFull("given up"))

        self._add_job(
            f"direct:{to.user}",
            to,
            SendJob(lambda: self._send_direct(to, message), log_abandoned),
            is_paced=True,
        )

    def _queue_message(
        self, lane: str, to: Recipient, work: Callable[[], None], message: Message, *, is_paced: bool = False
    ) -> None:
        self._add_job(lane, to, SendJob(work, lambda: self._queue_direct(to, message)), is_paced=is_paced)

    def _add_job(self, lane: str, to: Recipient, job: SendJob, *, is_paced: bool) -> None:
        try:
            self._send_queue.put(lane, job, is_paced=is_paced)
        except QueueFull as error:
            self._log_failure(to, lane.partition(":")[0], error)

    def _log_failure(self, to: Recipient, route: str, error: Exception) -> None:
        extra = {"request_id": to.request_id, "route": route, "fault": str(error)}
        log.warning("Message not delivered", extra=extra)
