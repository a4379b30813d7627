"""Strategies and backtests of the OMS, as the bot shows them.

The fields have the names of the OMS's JSON, so that rows are parsed by their types.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from app.forms.numbers import format_plain

BACKTEST_DAYS = 30  # of the period that the form proposes
ACTIVE = "ACTIVE"
INACTIVE = "INACTIVE"
FAILED = "ERROR"
MANUAL = "manual"
CODE = "code"
BOOLEAN_TEXTS = ("true", "false")
INTEGER = re.compile(r"-?[0-9]{1,30}", re.ASCII)
DECIMAL = re.compile(r"-?[0-9]{1,30}([.][0-9]{1,30})?", re.ASCII)
WHOLE_NUMBER = "a whole number"
NUMBER = "a number"
BOOLEAN = "true or false"


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
        """Whether this represents the orders that name no strategy. It has no status to change."""
        return self.kind == MANUAL

    @property
    def has_code(self) -> bool:
        """Whether its code is in the OMS, so that it has parameters and can be tested on past prices."""
        return self.kind == CODE


@dataclass(frozen=True)
class StrategyParameter:
    """A parameter with its value as text, and its type, range and meaning. No choices: any value."""

    name: str
    type: str
    description: str
    minimum: str | None
    maximum: str | None
    choices: tuple[str, ...]
    value: str

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.type in (WHOLE_NUMBER, NUMBER)

    @property
    def range_text(self) -> str:
        """The range in words, empty if there is none."""
        low, high = (
            "" if bound is None else format_plain(Decimal(bound)) for bound in (self.minimum, self.maximum)
        )
        if low and high:
            return f"{low} to {high}"
        return f"at least {low}" if low else f"at most {high}" if high else ""

    @property
    def text(self) -> str:
        """The value as a person types it: `0.00000001` for `1E-8`."""
        return format_plain(Decimal(self.value)) if self.is_number else self.value

    def find_problem(self, text: str) -> str:
        """Return why a text is not a value, empty if it is one."""
        if self.choices:
            return "" if text in self.choices else f"Must be one of {', '.join(self.choices)}."
        if self.type == BOOLEAN:
            return "" if text in BOOLEAN_TEXTS else "Must be true or false."
        if not self.is_number:
            return ""
        pattern = INTEGER if self.type == WHOLE_NUMBER else DECIMAL
        if pattern.fullmatch(text) and self._is_in_range(Decimal(text)):
            return ""
        return f"Must be {self.type}{f', {self.range_text}' if self.range_text else ''}."

    def is_value(self, text: str) -> bool:
        """Return whether a valid text is the value that the parameter has."""
        return Decimal(text) == Decimal(self.value) if self.is_number else text == self.value

    def _is_in_range(self, number: Decimal) -> bool:
        is_large_enough = self.minimum is None or number >= Decimal(self.minimum)
        return is_large_enough and (self.maximum is None or number <= Decimal(self.maximum))


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
