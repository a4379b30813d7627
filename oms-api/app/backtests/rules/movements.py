"""Movements of cash in a backtest that are not fills."""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class MovementKind(StrEnum):
    """The kind of a cash movement, named as in the cash ledger. The cash for a fraction is a trade there."""

    DIVIDEND = "dividend"
    WITHHOLDING = "withholding"
    CASH_IN_LIEU = "cash_in_lieu"
    INTEREST = "interest"
    BORROW = "borrow"


class BacktestCashMovement(NamedTuple):
    """A movement at an instant in seconds since 1970. `amount` is signed, in the portfolio's currency."""

    at: int
    kind: MovementKind
    amount: Decimal
    reason: str
    symbol: str = ""
