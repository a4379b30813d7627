"""Strategies and backtests of the OMS, as the bot shows them.

The fields have the names of the OMS's JSON, so that rows are parsed by their types.
"""

from dataclasses import dataclass
from decimal import Decimal

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
