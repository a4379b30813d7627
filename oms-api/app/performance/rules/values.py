"""Values that performance is computed from, and the arithmetic of ratios."""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

from app.timestamps import Timestamp

CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
ONE = Decimal(1)
TRADING_DAYS_A_YEAR = 252
CALENDAR_DAYS_A_YEAR = 365


class EquitySeries(NamedTuple):
    """The equity of a portfolio in its currency, in time order, as columns: ten years have 3,650 rows.

    `flows` is the sum of deposits less withdrawals since the portfolio was opened. A flow at the instant
    itself is in both `equities` and `flows`. `is_close` is true at a close of the portfolio's P&L day.
    `charges` is decimal text: the charges paid so far. The other amounts are floats, because only ratios are
    computed from them, never money.
    """

    instants: list[Timestamp]
    equities: list[float]
    flows: list[float]
    is_close: list[bool]
    gross_exposures: list[float]
    charges: list[str]

    def concatenate(self, later: "EquitySeries") -> "EquitySeries":
        """Return these rows, followed by the rows of another series."""
        columns: Any = zip(self, later, strict=True)  # their items have different types
        return EquitySeries._make([*first, *second] for first, second in columns)


NO_SERIES = EquitySeries([], [], [], [], [], [])


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


class Drawdown(NamedTuple):
    """A loss from a peak of the return index to a later trough, as a share of the peak.

    `recovered_at` is the first instant at which the index is back at the peak, or None.
    """

    share: float
    peak_at: Timestamp
    trough_at: Timestamp
    recovered_at: Timestamp | None
