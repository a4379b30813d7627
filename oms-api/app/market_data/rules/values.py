"""A quote and a bar, and the prices that they stand for."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.money import ratio

_TWO = Decimal(2)


class Quote(NamedTuple):
    """What a symbol can be bought and sold at, per unit in the instrument's currency; None is not known.

    `bid_size` and `ask_size` are what may fill against it, in units; None: any quantity. `at` is when it was
    said, `source` by whom ("manual", "simulated").
    """

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    at: datetime
    source: str


class Bar(NamedTuple):
    """First, highest, lowest and last price of [start, start + interval); `volume` in units, None: not
    known.
    """

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


def mid(quote: Quote) -> Decimal | None:
    """Return the price halfway between bid and ask, to 8 places, or None where a side is missing."""
    if quote.bid is None or quote.ask is None:
        return None
    return ratio(quote.bid + quote.ask, _TWO)


def mark(quote: Quote) -> Decimal | None:
    """Return the price that a position is valued at, and that a collar refers to: mid, else last, else
    None.
    """
    middle = mid(quote)
    return quote.last if middle is None else middle


def age(quote: Quote, now: datetime) -> timedelta:
    """Return how old the quote is; one from a clock that runs ahead is fresh."""
    return max(now - quote.at, timedelta(0))
