"""Build WebSocket frames as JSON text. A frame for many connections is serialized once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_SYSTEM_CHANNEL = "system"


def build_system_frame(content: Mapping[str, Any], position: str | None = None) -> str:
    """Return a frame about the connection itself."""
    return json.dumps({"channel": _SYSTEM_CHANNEL, "id": position, "data": content}, separators=(",", ":"))


def build_event_frame(channel: str, event_id: str, type_: str, created_at: str, payload: str) -> str:
    """Return the frame of an event. `payload` is JSON text."""
    head = {"channel": channel, "id": event_id, "type": type_, "created_at": created_at}
    return f'{json.dumps(head, separators=(",", ":"))[:-1]},"data":{payload}}}'


def build_item_frame(kind: str, items: Sequence[tuple[str, str]]) -> str:
    """Return the frame of quotes or values, each with its name and its JSON text.

    One item is the `data` of its channel ("quotes:AAPL"); several are the `items` of the kind ("quotes").
    """
    if len(items) == 1:
        name, text = items[0]
        return f'{{"channel":{json.dumps(f"{kind}:{name}")},"id":null,"data":{text}}}'
    return f'{{"channel":{json.dumps(kind)},"id":null,"items":[{",".join(text for _, text in items)}]}}'
