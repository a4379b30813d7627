"""Send replies to commands, mentions and direct messages, and publish the overview."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from app.blocks.messages import Message
from app.blocks.replies import Reply
from app.blocks.text import Json, truncate
from app.delivery.message_sender import DeliveryClaim, send_with_claim
from app.delivery.send_queue import SendJob, SendQueue
from app.delivery.slack_api import MAX_TEXT_CHARACTERS, SlackApi, call_slack, repeat_call
from app.errors import QueueFull, SlackError, SlackRateLimited, SlackRefused

log = logging.getLogger(__name__)


class BuildView(Protocol):
    """Build a view, with Slack's tables or with lines of text."""

    def __call__(self, *, with_tables: bool) -> Json:
        """Return the view."""


@dataclass(frozen=True)
class ReplyAddress:
    """The address of a reply.

    A command has a `response_url`. A mention has the `thread_ts` of its thread. `is_direct`: the channel is
    the direct message of the person with the bot. `claim` is set for a reply that must survive a crash.
    """

    user: str
    channel: str
    request_id: str
    response_url: str = ""
    thread_ts: str = ""
    is_direct: bool = False
    claim: DeliveryClaim | None = None


class ReplySender:
    """Send each reply where its command was typed. If that fails, send it to the person directly.

    A message that Slack refuses is sent again without tables, because some workspaces refuse tables.
    """

    def __init__(self, slack: SlackApi, send_queue: SendQueue):
        self._slack = slack
        self._send_queue = send_queue
        self.client = slack.client

    def send(self, to: ReplyAddress, reply: Reply, *, is_shared: bool = False) -> None:
        """Queue a reply. Only the person sees it unless `is_shared`."""
        lane = f"channel:{to.channel}" if to.is_direct or is_shared else f"person:{to.user}"

        def work() -> None:
            self._deliver_reply(to, reply, is_shared=is_shared)

        def log_abandoned() -> None:
            self._log_failure(to, QueueFull("given up"))

        try:
            self._send_queue.put(lane, SendJob(work, log_abandoned), is_paced=lane.startswith("channel:"))
        except QueueFull as error:
            self._log_failure(to, error)

    def publish(self, user: str, build: BuildView) -> None:
        """Show the overview of a person, without tables only if Slack refuses them. Raises `SlackError`."""
        try:
            self._publish_view(user, build(with_tables=True))
        except SlackRateLimited:
            raise
        except SlackRefused:
            self._publish_view(user, build(with_tables=False))

    def push(self, trigger_id: str, view: Json) -> str:
        """Open a form on top of an open form, and return its id. Raises `SlackError`."""
        response = call_slack("views.push", lambda: self.client.views_push(trigger_id=trigger_id, view=view))
        return str(response["view"]["id"])

    def find_team(self, user: str) -> str:
        """Return the workspace of a person. Raises `SlackError`."""
        response = repeat_call("users.info", lambda: self.client.users_info(user=user))
        return str((response.get("user") or {}).get("team_id", ""))

    def _publish_view(self, user: str, view: Json) -> None:
        repeat_call("views.publish", lambda: self.client.views_publish(user_id=user, view=view))

    def _deliver_reply(self, to: ReplyAddress, reply: Reply, *, is_shared: bool) -> None:
        try:
            send_with_claim(to.claim, lambda: self._send_reply(to, reply, is_shared), to.request_id)
        except SlackRateLimited:
            raise
        except SlackError as error:
            self._log_failure(to, error)
            self._send_directly(to, reply)

    def _send_reply(self, to: ReplyAddress, reply: Reply, is_shared: bool) -> None:
        self._send_either(reply, lambda message: self._send_message(to, message, is_shared=is_shared))

    def _send_directly(self, to: ReplyAddress, reply: Reply) -> None:
        if to.is_direct:
            return  # it is the route that just failed
        try:
            channel = self._slack.open_direct_channel(to.user)
            self._send_either(reply, lambda message: self._slack.post(channel, message))
        except SlackRateLimited:
            raise
        except SlackError as error:
            self._log_failure(to, error)

    def _send_either(self, reply: Reply, send: Callable[[Message], object]) -> None:
        """Send the message with images, else with tables and charts, else without them."""
        if reply.images:
            try:
                send(reply.build_message())
            except SlackRefused:  # Slack may still be reading the images
                reply = replace(reply, images=())
            else:
                return
        try:
            send(reply.build_message())
        except SlackRefused:
            if not (reply.tables or reply.charts):
                raise
            send(reply.build_plain_message())

    def _send_message(self, to: ReplyAddress, message: Message, *, is_shared: bool) -> None:
        if to.response_url:
            self._slack.respond(to.response_url, message, in_channel=is_shared)
        elif to.is_direct or is_shared:
            self._slack.post(to.channel, message, thread_ts=to.thread_ts or None)
        else:
            call_slack(
                "chat.postEphemeral",
                lambda: self.client.chat_postEphemeral(
                    channel=to.channel,
                    user=to.user,
                    thread_ts=to.thread_ts or None,
                    **_build_content(message),
                ),
            )

    def _log_failure(self, to: ReplyAddress, error: Exception) -> None:
        log.warning("Reply not delivered", extra={"request_id": to.request_id, "fault": str(error)})


def _build_content(message: Message) -> Json:
    return {"text": truncate(message.text, MAX_TEXT_CHARACTERS), "blocks": list(message.blocks)}
