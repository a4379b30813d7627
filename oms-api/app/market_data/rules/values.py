"""Quotes, bars, and the prices derived from them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.money import divide

OVERRIDE = "override"  # the source of marks that a person set
CLOSE = "close"  # the source of marks that are the close of a session
_TWO = Decimal(2)


class Quote(NamedTuple):
    """Bid, ask and last price per unit in the instrument's currency. None means unknown.

    `bid_size` and `ask_size` are the available quantities in units; None means any quantity. `at` is the time
    of the quote, `source` its origin ("manual", "simulated").
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
    """The open, high, low and close of [start, start + interval). `volume` in units; None means unknown."""

    symbol: str
    start: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None = None


class MarkOverride(NamedTuple):
    """The price per unit that a person set as the mark of a symbol, from `set_at` until `expires_at`.

    `set_by` is the person, or the key that acted for none.
    """

    symbol: str
    price: Decimal
    reason: str
    set_by: str
    set_at: datetime
    expires_at: datetime

    @property
    def quote(self) -> Quote:
        """The override as a quote of its price."""
        return Quote(
            symbol=self.symbol,
            bid=None,
            ask=None,
            last=self.price,
            bid_size=None,
            ask_size=None,
            at=self.set_at,
            source=OVERRIDE,
        )


def compute_mid(quote: Quote) -> Decimal | None:
    """Return the mid price to 8 decimals, or None if a side is missing."""
    if quote.bid is None or quote.ask is None:
        return None
    return divide(quote.bid + quote.ask, _TWO)


def compute_mark(quote: Quote) -> Decimal | None:
    """Return the price for valuations and price collars: the mid, or else the last, or None."""
    middle = compute_mid(quote)
    return quote.last if middle is None else middle


def compute_age(quote: Quote, now: datetime) -> timedelta:
    """Return the age of the quote. It is zero if the quote's clock is ahead."""
    return max(now - quote.at, timedelta(0))
