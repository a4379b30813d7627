"""Generate `docs/asyncapi.json`: every type of events with its schema and an example (AsyncAPI 3.0).

The types come from `app.event_catalog`. `--check` writes nothing and fails if the document differs from what
would be generated.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "asyncapi.json"
sys.path.insert(0, str(ROOT / "oms-api"))

# The path above finds them. The type checker does not have it, because both services are named app.
from app import __version__  # type: ignore[import-not-found]  # noqa: E402
from app.event_catalog import (  # type: ignore[import-not-found]  # noqa: E402
    EventType,
    build_data_schema,
    build_example,
    list_event_types,
)

_ID = "q83vEjRWeJCrze8SNFZ4kKvN7xI"
_AT = "2026-11-20T15:04:05.123456Z"
_TEXT = {"type": "string"}
# The messages of the WebSocket, of the service and of clients.
_WEBSOCKET: dict[str, dict[str, Any]] = {
    "frame": {
        "name": "frame",
        "summary": "An event, quotes, P&L, or an answer of the channel `system`.",
        "payload": {
            "type": "object",
            "required": ["channel", "id"],
            "properties": {
                "channel": _TEXT,
                "id": {"type": ["string", "null"], "description": "What to send as `after`"},
                "type": {**_TEXT, "description": "Type of an event"},
                "created_at": {**_TEXT, "format": "date-time"},
                "data": {"type": "object"},
                "items": {"type": "array", "items": {"type": "object"}},
            },
        },
        "examples": [{"payload": {"channel": "quotes:AAPL", "id": None, "data": {"symbol": "AAPL"}}}],
    },
    "action": {
        "name": "action",
        "summary": "What a client sends.",
        "payload": {
            "type": "object",
            "required": ["action"],
            "properties": {
                "action": {"enum": ["auth", "subscribe", "unsubscribe", "ping"]},
                "key": _TEXT,
                "token": _TEXT,
                "on_behalf_of": _TEXT,
                "channels": {"type": "array", "items": _TEXT},
                "after": _TEXT,
            },
        },
        "examples": [{"payload": {"action": "subscribe", "channels": ["orders", "quotes:AAPL"]}}],
    },
}


def build_document() -> dict[str, Any]:
    """Return the document."""
    types = list_event_types()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "SlackOMS events",
            "version": __version__,
            "description": "Each event is written in the transaction of its change. The stream and the list "
            "of events return it as described here. Fields may be added.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": "/api/v1/events/stream",
                "description": "Server-sent events; a message is the `data` of one",
                "messages": {
                    event_type.name: {"$ref": f"#/components/messages/{event_type.name}"}
                    for event_type in types
                },
            },
            "websocket": {
                "address": "/api/v1/ws",
                "description": "WebSocket; see docs/websocket.md. Its frames contain the same events",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _WEBSOCKET},
            },
        },
        "operations": {
            "sendEvents": {"action": "send", "channel": {"$ref": "#/channels/events"}},
            "sendFrames": {
                "action": "send",
                "channel": {"$ref": "#/channels/websocket"},
                "messages": [{"$ref": "#/channels/websocket/messages/frame"}],
            },
            "receiveActions": {
                "action": "receive",
                "channel": {"$ref": "#/channels/websocket"},
                "messages": [{"$ref": "#/channels/websocket/messages/action"}],
            },
        },
        "components": {
            "messages": {event_type.name: _build_message(event_type) for event_type in types} | _WEBSOCKET,
            "schemas": {event_type.name: build_data_schema(event_type) for event_type in types},
        },
    }


def _build_message(event_type: EventType) -> dict[str, Any]:
    example = {"id": _ID, "type": event_type.name, "created_at": _AT, "data": build_example(event_type)}
    return {
        "name": event_type.name,
        "summary": event_type.summary,
        "payload": {
            "type": "object",
            "required": ["id", "type", "created_at", "data"],
            "properties": {
                "id": {"type": "string", "description": "Unique; what to send as `Last-Event-ID`"},
                "type": {"const": event_type.name},
                "created_at": {"type": "string", "format": "date-time"},
                "data": {"$ref": f"#/components/schemas/{event_type.name}"},
            },
        },
        "examples": [{"payload": example}],
    }


def main(arguments: list[str]) -> int:
    """Write the document, or with `--check` compare it. Return the exit status."""
    text = json.dumps(build_document(), indent=1, ensure_ascii=False) + "\n"
    if "--check" not in arguments:
        DOCUMENT.write_text(text)
        return 0
    if not DOCUMENT.is_file() or DOCUMENT.read_text() != text:
        print("docs/asyncapi.json is out of date. Run scripts/event_reference.py, and review the difference.")
        return 1
    print("docs/asyncapi.json is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
