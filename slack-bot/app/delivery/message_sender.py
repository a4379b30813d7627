"""Choose the route of a message: the channel, else the response URL, else a direct message."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.blocks.messages import Message, with_hint
from app.delivery.outbox import Job, Outbox
from app.delivery.response_urls import ResponseUrls
from app.delivery.slack_api import SlackApi
from app.errors import Saturated, SlackError, SlackRateLimited, SlackRefused, SlackUnreachable

log = logging.getLogger(__name__)

INVITE_HINT = "I could not post this in <#{channel}>. To have it there, type `/invite` and my name in it."
MAYBE_HINT = "Slack did not say whether this reached <#{channel}>."


class DeliveryReceipt(Protocol):
    """The right to send a message that is owed. It records the progress, so that a crash loses nothing."""

    def begin(self) -> bool:
        """Record that the call to Slack starts. Return False if another bot has the right now."""

    def retract(self) -> None:
        """Record that Slack refused the message."""

    def finish(self) -> None:
        """Record that Slack accepted the message."""


def send_with_receipt(receipt: DeliveryReceipt | None, send: Callable[[], object], request_id: str) -> None:
    """Send a message unless another bot has the right now, and record the progress. Raises `SlackError`."""
    if receipt is None:
        send()
        return
    if not receipt.begin():
        log.info("Message left to another bot", extra={"request_id": request_id})
        return
    try:
        send()
    except (SlackRateLimited, SlackRefused):
        receipt.retract()
        raise
    receipt.finish()


@dataclass(frozen=True)
class Address:
    """The recipient of a message and the channel it concerns.

    `view_id` identifies the response URL of the command. `receipt` is set for a message that must survive a
    crash; it records when the message was sent.
    """

    user: str
    channel: str
    view_id: str
    request_id: str
    receipt: DeliveryReceipt | None = None


class MessageSender:
    """Post confirmations in the channel and send private messages to the person.

    If a route fails, the next one is tried.
    """

    def __init__(self, slack: SlackApi, outbox: Outbox, urls: ResponseUrls):
        self._slack = slack
        self._outbox = outbox
        self._urls = urls

    def confirm(self, to: Address, message: Message) -> None:
        """Post in the channel where the command was typed. If that fails, send it to the person."""
        if to.channel:
            self._queue(
                f"channel:{to.channel}", to, lambda: self._send_to_channel(to, message), message, paced=True
            )
        else:
            self._queue_direct(to, message)

    def send_privately(self, to: Address, message: Message) -> None:
        """Send a message that only the person sees."""
        self._queue(
            f"person:{to.user}",
            to,
            lambda: self._send_to_response_url(to, message, in_channel=False),
            message,
        )

    def respond(self, to: Address, url: str, message: Message) -> None:
        """Send a message that only the person sees, by the response URL of a command that opened no form."""
        self._queue(
            f"person:{to.user}", to, lambda: self._send_by_url(to, url, message, in_channel=False), message
        )

    def _send_to_channel(self, to: Address, message: Message) -> None:
        try:
            self._send(to, lambda: self._slack.post(to.channel, message))
        except SlackRateLimited:
            raise
        except SlackUnreachable as error:
            self._log_failure(to, "channel", error)
            self._queue_direct(to, with_hint(message, MAYBE_HINT.format(channel=to.channel)))
        except SlackError as error:
            self._log_failure(to, "channel", error)
            self._send_to_response_url(to, message, in_channel=True)

    def _send_to_response_url(self, to: Address, message: Message, *, in_channel: bool) -> None:
        url = self._urls.take(to.view_id)
        if url is None:
            self._queue_direct(to, self._add_invite_hint(to, message, was_for_channel=in_channel))
        else:
            self._send_by_url(to, url, message, in_channel=in_channel)

    def _send_by_url(self, to: Address, url: str, message: Message, *, in_channel: bool) -> None:
        try:
            self._send(to, lambda: self._slack.respond(url, message, in_channel=in_channel))
        except SlackError as error:
            self._log_failure(to, "response_url", error)
            self._queue_direct(to, self._add_invite_hint(to, message, was_for_channel=in_channel))

    def _add_invite_hint(self, to: Address, message: Message, *, was_for_channel: bool) -> Message:
        return with_hint(message, INVITE_HINT.format(channel=to.channel)) if was_for_channel else message

    def _send_direct(self, to: Address, message: Message) -> None:
        try:
            self._send(to, lambda: self._slack.post(self._slack.direct_channel(to.user), message))
        except SlackRateLimited:
            raise
        except SlackError as error:
            self._log_failure(to, "direct", error)

    def _send(self, to: Address, send: Callable[[], object]) -> None:
        send_with_receipt(to.receipt, send, to.request_id)

    def _queue_direct(self, to: Address, message: Message) -> None:
        def log_abandoned() -> None:
            self._log_failure(to, "direct", Saturated("given up"))

        self._put(
            f"direct:{to.user}", to, Job(lambda: self._send_direct(to, message), log_abandoned), paced=True
        )

    def _queue(
        self, lane: str, to: Address, work: Callable[[], None], message: Message, *, paced: bool = False
    ) -> None:
        self._put(lane, to, Job(work, lambda: self._queue_direct(to, message)), paced=paced)

    def _put(self, lane: str, to: Address, job: Job, *, paced: bool) -> None:
        try:
            self._outbox.put(lane, job, paced=paced)
        except Saturated as error:
            self._log_failure(to, lane.partition(":")[0], error)

    def _log_failure(self, to: Address, route: str, error: Exception) -> None:
        extra = {"request_id": to.request_id, "route": route, "fault": str(error)}
        log.warning("Message not delivered", extra=extra)
