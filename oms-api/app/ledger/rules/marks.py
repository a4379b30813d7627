"""A position and what it is worth at a mark."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from app.money import product

STALE = timedelta(seconds=60)  # a mark older than this says so


class Mark(NamedTuple):
    """The price that a position is valued at, per unit; `source` is "quote", or "trade" where nobody
    quotes.
    """

    price: Decimal
    at: datetime
    source: str


class Valuation(NamedTuple):
    """A position at its mark: value and unrealised P&L (value - cost), signed; the mark's age in seconds."""

    market_value: Decimal
    unrealized_pnl: Decimal
    age_seconds: float
    is_stale: bool


class HeldPosition(NamedTuple):
    """A position with its portfolio, the trade that moved it last, and when it was opened (None when
    flat).
    """

    portfolio_key: str
    portfolio_name: str
    currency: str
    symbol: str
    product: str
    quantity: Decimal
    cost: Decimal
    realized_pnl: Decimal
    last_price: Decimal
    last_at: datetime
    opened_at: datetime | None

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in a list."""
        return (self.portfolio_key, self.symbol, self.product)


class MarkedPosition(NamedTuple):
    """A position with its mark."""

    held: HeldPosition
    mark: Mark
    valuation: Valuation


def value_at(quantity: Decimal, cost: Decimal, mark: Mark, now: datetime) -> Valuation:
    """Return what a position is worth; a mark from a clock that runs ahead is fresh."""
    worth = product(quantity, mark.price)
    age = max(now - mark.at, timedelta(0))
    return Valuation(worth, worth - cost, round(age.total_seconds(), 3), age > STALE)
