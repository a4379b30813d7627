"""Strategies and backtests of the OMS, as the bot shows them.

The fields have the names of the OMS's JSON, so that rows are parsed by their types.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

BACKTEST_DAYS = 30  # of the period that the form proposes
ACTIVE, FAILED = "ACTIVE", "ERROR"
MANUAL, CODE = "manual", "code"
WHOLE_NUMBER, NUMBER, BOOLEAN = "a whole number", "a number", "true or false"


@dataclass(frozen=True)
class StrategySummary:
    """A strategy with the result of its closed round trips, in the currency of its portfolio."""

    name: str
    kind: str
    portfolio: str | None
    symbols: tuple[str, ...]
    interval: str | None
    mode: str
    status: str
    reason: str | None
    last_error: str | None
    trades: int
    wins: int
    pnl_net: Decimal

    @property
    def is_manual(self) -> bool:
        """Whether this stands for the orders that name no strategy. It has no status to change."""
        return self.kind == MANUAL

    @property
    def has_code(self) -> bool:
        """Whether its code is in the OMS, so that it has parameters and can be tested on past prices."""
        return self.kind == CODE


@dataclass(frozen=True)
class BacktestSummary:
    """A finished backtest. `since` and `until` are instants in ISO 8601 (UTC); `until` is left out.

    `total_return` and `max_drawdown` are shares.
    """

    id: str
    strategy: str
    symbols: tuple[str, ...]
    interval: str
    since: str
    until: str
    equity_final: Decimal
    pnl_net: Decimal
    charges: Decimal
    fills: int
    trades: int
    wins: int
    total_return: float | None
    max_drawdown: float | None
    sharpe: float | None


@dataclass(frozen=True)
class BacktestRequest:
    """A backtest to request. Both days are included, in UTC. No symbols: those of the strategy."""

    strategy: str
    first_day: date
    last_day: date
    symbols: tuple[str, ...] = ()


def get_proposed_days(now: datetime) -> tuple[date, date]:
    """Return the first and the last day that the form of a backtest proposes: the last 30 complete days."""
    last_day = now.date() - timedelta(days=1)
    return last_day - timedelta(days=BACKTEST_DAYS - 1), last_day
