"""Alpaca's market data as quotes and bars. Amounts are decimal numbers of the JSON, never floats."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.values import Bar, Quote
from app.money import is_storable

SOURCE = "alpaca"
TIMEFRAMES = {
    Interval.MINUTE: "1Min",
    Interval.FIVE_MINUTES: "5Min",
    Interval.FIFTEEN_MINUTES: "15Min",
    Interval.HOUR: "1Hour",
    Interval.DAY: "1Day",
}


def is_pair(symbol: str) -> bool:
    """Return whether a symbol is a crypto pair, which Alpaca serves at other addresses."""
    return "/" in symbol


def parse_quotes(json: Any) -> list[Quote]:
    """Parse the latest quotes by symbol. Quotes without a price or a time are left out.

    Sizes are left out too: Alpaca counts them in lots or units, depending on the feed.
    """
    quotes = json.get("quotes") if isinstance(json, Mapping) else None
    parsed = (
        _parse_quote(symbol, item) for symbol, item in (quotes or {}).items() if isinstance(item, Mapping)
    )
    return [quote for quote in parsed if quote is not None]


def parse_bars(json: Any, symbol: str, interval: Interval) -> list[Bar]:
    """Parse the bars of a symbol, oldest first. Malformed ones are left out."""
    items = json.get("bars") if isinstance(json, Mapping) else None
    if isinstance(items, Mapping):
        items = items.get(symbol)
    parsed = (_parse_bar(item, symbol, interval) for item in _list(items) if isinstance(item, Mapping))
    return [bar for bar in parsed if bar is not None]


def _parse_quote(symbol: str, json: Mapping[str, Any]) -> Quote | None:
    bid, ask, at = _parse_price(json.get("bp")), _parse_price(json.get("ap")), _parse_time(json.get("t"))
    if at is None or (bid is None and ask is None):
        return None
    return Quote(
        symbol=symbol, bid=bid, ask=ask, last=None, bid_size=None, ask_size=None, at=at, source=SOURCE
    )


def _parse_bar(json: Mapping[str, Any], symbol: str, interval: Interval) -> Bar | None:
    at = _parse_time(json.get("t"))
    first, high, low, close = (_parse_price(json.get(name)) for name in ("o", "h", "l", "c"))
    if at is None or first is None or high is None or low is None or close is None:
        return None
    return Bar(
        symbol=symbol,
        start=get_bar_start(at, interval),
        open=first,
        high=high,
        low=low,
        close=close,
        volume=_parse_price(json.get("v")),
    )


def _parse_price(value: Any) -> Decimal | None:
    """Return a positive number. Alpaca writes 0 where there is no bid or ask."""
    if not isinstance(value, int | Decimal) or isinstance(value, bool):
        return None
    price = Decimal(value)
    return price if price > 0 and is_storable(price) else None


def _parse_time(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
