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
    """A position at its mark: value and unrealised P&L (value - cost), signed, in the portfolio's currency;
    the mark's age in seconds.
    """

    market_value: Decimal
    unrealized_pnl: Decimal
    age_seconds: float
    is_stale: bool


class HeldPosition(NamedTuple):
    """A position with its portfolio, the trade that moved it last, and since when it is open (None when flat)
    or when it was closed last. `currency` is None where it is traded in the portfolio's, `base_currency`.
    """

    portfolio_key: str
    portfolio_name: str
    base_currency: str
    symbol: str
    product: str
    quantity: Decimal
    cost: Decimal
    realized_pnl: Decimal
    currency: str | None
    local_cost: Decimal | None
    opened_at: datetime | None
    closed_at: datetime | None
    last_price: Decimal
    last_at: datetime

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in a list."""
        return (self.portfolio_key, self.symbol, self.product)


class Exits(NamedTuple):
    """The prices at which working orders take a position off: None where none does."""

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


NO_EXITS = Exits()


class MarkedPosition(NamedTuple):
    """A position with its mark, and the rate that it is valued by: None for the portfolio's own currency."""

    held: HeldPosition
    mark: Mark
    valuation: Valuation
    rate: Decimal | None = None
    exits: Exits = NO_EXITS


def value_at(
    quantity: Decimal, cost: Decimal, mark: Mark, now: datetime, rate: Decimal | None = None
) -> Valuation:
    """Return what a position is worth in its portfolio's currency, `rate` being that per unit of the mark's;
    a mark from a clock that runs ahead is fresh.
    """
    worth = product(quantity, mark.price)
    if rate is not None:
        worth = product(worth, rate)
    age = max(now - mark.at, timedelta(0))
    return Valuation(worth, worth - cost, round(age.total_seconds(), 3), age > STALE)
