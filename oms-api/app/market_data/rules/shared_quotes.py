"""Quotes as processes send them to each other."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from app.market_data.rules.values import Quote
from app.timestamps import format_timestamp

_PRICES = ("bid", "ask", "last", "bid_size", "ask_size")


def serialize_quote(quote: Quote) -> list[Any]:
    """Return a quote as values of JSON."""
    prices = [None if (value := getattr(quote, name)) is None else str(value) for name in _PRICES]
    return [quote.symbol, *prices, format_timestamp(quote.at), quote.source]


def parse_quote(values: list[Any]) -> Quote:
    """Return the quote of `serialize_quote`."""
    symbol, *prices, at, source = values
    bid, ask, last, *sizes = (None if price is None else Decimal(price) for price in prices)
    return Quote(
        symbol=symbol,
        bid=bid,
        ask=ask,
        last=last,
        bid_size=sizes[0],
        ask_size=sizes[1],
        at=datetime.fromisoformat(at),
        source=source,
    )


def choose_newer(first: Quote | None, second: Quote | None) -> Quote | None:
    """Return the later of two quotes of a symbol."""
    if first is None or second is None:
        return first or second
    return second if second.at > first.at else first
