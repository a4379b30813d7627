"""Messages of the channels, and who may see them."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator import workspace
from simulator.blockkit.surfaces import Block
from simulator.blockkit.values import Values
from simulator.ids import Timestamps

MAX_MESSAGES_PER_CHANNEL = 500


@dataclass
class Message:
    """One message. ``only_for`` is the only person who sees it, None for everybody in the channel."""

    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Block] = field(default_factory=list)
    only_for: str | None = None
    thread_ts: str | None = None
    edited_ts: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    revision: int = 0
    offered: dict[tuple[str, str], list[Block]] = field(default_factory=dict, repr=False)
    values: dict[str, Values] = field(default_factory=dict, repr=False)  # by person

    @property
    def from_bot(self) -> bool:
        """Whether the app posted the message."""
        return self.user == workspace.BOT_USER_ID

    def is_visible_to(self, user: str) -> bool:
        """Whether that person sees the message."""
        return self.only_for in (None, user)

    def payload(self) -> dict[str, Any]:
        """Return the message in the format of Slack's API."""
        body: dict[str, Any] = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text}
        if self.from_bot:
            body |= {"bot_id": workspace.BOT_ID, "app_id": workspace.APP_ID}
        body["team"] = workspace.find_team(self.user).id
        if self.blocks:
            body["blocks"] = self.blocks
        if self.files:
            body["files"] = self.files
        if self.thread_ts:
            body["thread_ts"] = self.thread_ts
        if self.edited_ts:
            body["edited"] = {"user": self.user, "ts": self.edited_ts}
        return body

    def serialize(self) -> dict[str, Any]:
        """Return the message in the format of the page and the control API."""
        return self.payload() | {
            "channel": self.channel,
            "ephemeral": self.only_for is not None,
            "only_for": self.only_for,
            "revision": self.revision,
        }


class Messages:
    """The latest messages of every channel."""

    def __init__(self, timestamps: Timestamps) -> None:
        self._timestamps = timestamps
        self._by_channel: dict[str, deque[Message]] = {}

    def post(
        self,
        channel: str,
        user: str,
        text: str,
        blocks: list[Block] | None = None,
        *,
        only_for: str | None = None,
        thread_ts: str | None = None,
        files: list[dict[str, Any]] | None = None,
    ) -> Message:
        """Add a message and return it."""
        message = Message(self._timestamps.next(), channel, user, text, blocks or [], only_for, thread_ts)
        message.files = files or []
        self._by_channel.setdefault(channel, deque(maxlen=MAX_MESSAGES_PER_CHANNEL)).append(message)
        return message

    def edit(self, message: Message, text: str, blocks: list[Block]) -> None:
        """Replace the content of a message."""
        message.text = text
        message.blocks = blocks
        message.edited_ts = self._timestamps.next()
        message.revision += 1

    def delete(self, message: Message) -> None:
        """Delete a message."""
        self._by_channel[message.channel].remove(message)

    def find(self, channel: str, ts: str | None) -> Message | None:
        """Return the message with that timestamp, or None."""
        return next((message for message in self._by_channel.get(channel, ()) if message.ts == ts), None)

    def visible(self, channel: str, user: str) -> list[Message]:
        """Return the messages of a channel that a person sees, oldest first."""
        return [message for message in self.all(channel) if message.is_visible_to(user)]

    def all(self, channel: str) -> Iterable[Message]:
        """Return all messages of a channel, oldest first, including private ones."""
        return self._by_channel.get(channel, ())
