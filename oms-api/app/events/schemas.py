"""Response bodies of events, as JSON and as server-sent events."""

from typing import Any

import orjson
from pydantic import BaseModel, Field

from app.events.queries import StoredEvent
from app.timestamps import format_timestamp


class EventOut(BaseModel):
    """An event: a committed change."""

    id: str = Field(
        examples=["q83vEjRWeJCrze8SNFZ4kKvN7xI"], description="ID of the event, for `Last-Event-ID`"
    )
    type: str = Field(examples=["order.filled"])
    created_at: str = Field(examples=["2026-11-20T15:04:05.123456Z"])
    data: dict[str, Any] = Field(
        description="The changed object after the change; see docs/events.md",
        examples=[
            {
                "order_id": "O17952423050000000c1937aec",
                "client_order_id": "mine-1",
                "portfolio_id": 4712,
                "portfolio_name": "Growth",
                "sequence": 4,
                "symbol": "AAPL",
                "side": "BUY",
                "type": "MARKET",
                "status": "FILLED",
                "quantity": "10",
                "filled_quantity": "10",
                "leaves_quantity": "0",
                "actor": "paper",
                "average_price": "101.00",
                "execution_id": "O17952423050000000c1937aec:0",
                "trade_id": "T17952423050000000b1f2c3d4",
                "last_quantity": "10",
                "last_price": "101.00",
            }
        ],
    )


def serialize_event(event: StoredEvent, opaque_id: str) -> dict[str, Any]:
    """Serialize an event as `EventOut`. `opaque_id` is its encrypted id."""
    return {
        "id": opaque_id,
        "type": event.type,
        "created_at": format_timestamp(event.created_at),
        "data": orjson.loads(event.payload),
    }


def format_server_sent(event: StoredEvent, opaque_id: str) -> bytes:
    """Serialize an event in the event stream format of the HTML standard."""
    head = f"id: {opaque_id}\nevent: {event.type}\ndata: ".encode()
    return head + orjson.dumps(serialize_event(event, opaque_id)) + b"\n\n"
