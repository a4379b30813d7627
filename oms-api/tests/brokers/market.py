"""Build orders, quotes and bars in a short notation, and format the market's events as text."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from app.brokers.rules.values import (
    BrokerEvent,
    BrokerOrder,
    CancelRejected,
    Executed,
    OrderType,
    TimeInForce,
    TrailMoved,
    Triggered,
    UnfilledCanceled,
)
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar, Quote

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
CENT = Decimal("0.01")
_PRICES = {
    "limit": "limit_price",
    "stop": "stop_price",
    "trail": "trail_amount",
    "percent": "trail_percent",
    "level": "trail_level",
}


def parse_order_text(order_text: str, order_id: str = "A", **changes: Any) -> BrokerOrder:
    """Read an order: "BUY 100 STOP_LIMIT stop 105 limit 106 IOC"."""
    side, quantity, kind, *options = order_text.split()
    fields: dict[str, Any] = {}
    while options:
        word = options.pop(0)
        if word in _PRICES:
            fields[_PRICES[word]] = Decimal(options.pop(0))
        elif word == "triggered":
            fields["triggered"] = True
        else:
            fields["time_in_force"] = TimeInForce(word)
    fields |= {"tick": CENT, "lot": Decimal(1)} | changes
    size = Decimal(quantity)
    return BrokerOrder(order_id, 1, "X", Side(side), OrderType(kind), size, size, NOON)._replace(**fields)


def build_quote(bid: str | None, ask: str | None, last: str | None = None, **sizes: str) -> Quote:
    """Return a quote; sizes by `bid_size` and `ask_size`."""
    prices = (None if price is None else Decimal(price) for price in (bid, ask, last))
    parsed_sizes = (Decimal(sizes[name]) if name in sizes else None for name in ("bid_size", "ask_size"))
    return Quote._make(("X", *prices, *parsed_sizes, NOON, "test"))


def parse_bar_text(prices: str, volume: str | None = None, start: datetime = LATER) -> Bar:
    """Read a bar: "103/105/101.5/104" is open, high, low, close."""
    first, high, low, close = map(Decimal, prices.split("/"))
    return Bar("X", start, first, high, low, close, None if volume is None else Decimal(volume))


def format_events(events: Sequence[BrokerEvent]) -> list[str]:
    """Return the events as text: "A 100 @ 99.5"."""
    return [_format_event(event) for event in events]


def _format_event(event: BrokerEvent) -> str:
    match event:
        case Executed():
            return f"{event.order_id} {event.quantity.normalize():f} @ {event.price.normalize():f}"
        case Triggered():
            return f"{event.order_id} triggered"
        case TrailMoved():
            return f"{event.order_id} trails at {event.level.normalize():f}"
        case UnfilledCanceled():
            return f"{event.order_id} unfilled canceled"
        case CancelRejected():
            return f"{event.order_id} cancel rejected"
        case _:
            return f"{event.order_id} {type(event).__name__.lower()}"
