"""Bars: their lengths, their start times, and how quotes and shorter bars are combined into them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from app.market_data.rules.values import Bar, Quote, compute_mark
from app.money import ZERO

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Interval(StrEnum):
    """The length of a bar. Bars begin at multiples of their length since 1970 in UTC."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """Return the length."""
        return _LENGTHS[self]


_LENGTHS = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.FIVE_MINUTES: timedelta(minutes=5),
    Interval.FIFTEEN_MINUTES: timedelta(minutes=15),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
}


def get_bar_start(instant: datetime, interval: Interval) -> datetime:
    """Return the start of the bar that contains `instant`."""
    length = interval.length
    return _EPOCH + (instant - _EPOCH) // length * length


def get_traded_price(quote: Quote) -> Decimal:
    """Return the price that a quote adds to a bar: the last, or else the mid, or else the only side."""
    for price in (quote.last, compute_mark(quote), quote.bid, quote.ask):
        if price is not None:
            return price
    raise ValueError("a quote says at least one price")


def extend_bar(bar: Bar | None, quote: Quote) -> Bar:
    """Return the one-minute bar extended by the quote. None starts a new bar. Quotes have no volume."""
    price = get_traded_price(quote)
    if bar is None:
        return Bar(quote.symbol, get_bar_start(quote.at, Interval.MINUTE), price, price, price, price)
    return bar._replace(high=max(bar.high, price), low=min(bar.low, price), close=price)


def fold_quotes(quotes: Iterable[Quote]) -> list[Bar]:
    """Return the one-minute bars of quotes that are in time order."""
    bars: list[Bar] = []
    for quote in quotes:
        if bars and bars[-1].start == get_bar_start(quote.at, Interval.MINUTE):
            bars[-1] = extend_bar(bars[-1], quote)
        else:
            bars.append(extend_bar(None, quote))
    return bars


def combine_bars(bars: Iterable[Bar], interval: Interval) -> list[Bar]:
    """Combine shorter bars, in time order, into bars of `interval`."""
    longer: list[Bar] = []
    for bar in bars:
        start = get_bar_start(bar.start, interval)
        if longer and longer[-1].start == start:
            longer[-1] = _combine(longer[-1], bar)
        else:
            longer.append(bar._replace(start=start))
    return longer


def _combine(first: Bar, second: Bar) -> Bar:
    volume = None if first.volume is None and second.volume is None else _sum(first.volume, second.volume)
    return first._replace(
        high=max(first.high, second.high), low=min(first.low, second.low), close=second.close, volume=volume
    )


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal:
    return (first or ZERO) + (second or ZERO)
