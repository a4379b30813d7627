"""Values that performance is computed from, and the arithmetic of ratios."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import NamedTuple

CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
ONE = Decimal(1)
TRADING_DAYS_A_YEAR = 252
CALENDAR_DAYS_A_YEAR = 365


class EquityPoint(NamedTuple):
    """The equity of a portfolio at an instant, in its currency.

    `flows` is the sum of deposits less withdrawals since the portfolio was opened. A flow at the instant
    itself is in both `equity` and `flows`. `is_close` is true at a close of the portfolio's P&L day.
    Amounts are floats, because only ratios are computed from them, never money.
    """

    at: datetime
    equity: float
    flows: float
    is_close: bool


class Snapshot(NamedTuple):
    """The value of a portfolio at an instant, as `models.EquitySnapshot` documents it."""

    tenant_id: int
    portfolio_id: int
    at: datetime
    kind: str
    cash: Decimal
    market_value: Decimal
    gross_exposure: Decimal
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    charges: Decimal
    flows: Decimal
    currencies: str | None = None

    @property
    def amounts(self) -> tuple[Decimal, ...]:
        """The amounts, in the order of the fields."""
        return self[4:-1]


class KeptSnapshot(NamedTuple):
    """A close or a flow, with the gross exposure then and the charges paid so far."""

    point: EquityPoint
    gross_exposure: float
    charges: Decimal


class DailyReturn(NamedTuple):
    """The simple return from one close to the next, None if the equity was zero or below in between."""

    at: datetime
    value: float | None


class Drawdown(NamedTuple):
    """A loss from a peak of the return index to a later trough, as a share of the peak.

    `recovered_at` is the first instant at which the index is back at the peak, or None.
    """

    share: float
    peak_at: datetime
    trough_at: datetime
    recovered_at: datetime | None
