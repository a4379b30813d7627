"""The message whose button was clicked."""

from dataclasses import dataclass
from typing import Any

from app.blocks.text import Json


@dataclass(frozen=True)
class ClickedMessage:
    """The message whose button was clicked, as Slack sent it."""

    channel: str
    ts: str
    text: str
    blocks: tuple[Json, ...]


def read_clicked_message(body: dict[str, Any]) -> ClickedMessage:
    """Return the message of an interaction."""
    message = body.get("message") or {}
    container = body.get("container") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id")
    return ClickedMessage(
        channel=str(channel or ""),
        ts=str(message.get("ts") or container.get("message_ts") or ""),
        text=str(message.get("text") or ""),
        blocks=tuple(message.get("blocks") or ()),
    )
