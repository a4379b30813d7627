"""The order that a signal asks for."""

from decimal import Decimal
from typing import NamedTuple

from app.money import ZERO, divide

_HUNDRED = Decimal(100)


class SizedOrder(NamedTuple):
    """Side and size of the order of a signal. Both sizes are None if a position is closed."""

    side: str | None
    quantity: Decimal | None = None
    notional: Decimal | None = None


def size_to_target(target: Decimal, position: Decimal, working_quantity: Decimal) -> SizedOrder | None:
    """Return the order that takes the position to the target, None if nothing is missing.

    `position` and `working_quantity`, which open orders will still buy (+) or sell (-), are signed.
    """
    missing = target - position - working_quantity
    if not missing:
        return None
    return SizedOrder("BUY" if missing > 0 else "SELL", quantity=abs(missing))


def compute_notional(equity: Decimal, percent: Decimal, rate: Decimal) -> Decimal:
    """Return the value of an order for that percentage of the equity, in the instrument's currency.

    `rate` is the value of one unit of that currency in the portfolio's. The result is zero without equity.
    """
    return divide(equity * percent, rate * _HUNDRED) if equity > 0 else ZERO
