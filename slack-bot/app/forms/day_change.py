"""Compute how a price has changed today."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

from app.forms.numbers import PRECISION_DIGITS, format_money

DATE_CHARACTERS = 10  # of an instant in ISO 8601
HUNDREDTH = Decimal("0.01")


class DayBar(NamedTuple):
    """The first and the last price of a day (UTC) that begins at `start` (ISO 8601)."""

    start: str
    open: Decimal
    close: Decimal


class DayChange(NamedTuple):
    """The change of a price since the previous day's close, also in percent of that close."""

    amount: Decimal
    percent: Decimal


def compute_day_change(price: Decimal, bars: Sequence[DayBar], today: str) -> DayChange | None:
    """Return the change since the previous close, else since today's open. None without prices of today.

    `bars` are the newest first. `today` is a date in ISO 8601.
    """
    if not bars or bars[0].start[:DATE_CHARACTERS] != today:
        return None
    reference = bars[1].close if len(bars) > 1 else bars[0].open
    if reference <= 0:
        return None
    with localcontext(prec=PRECISION_DIGITS):
        change = price - reference
        percent = (100 * change / reference).quantize(HUNDREDTH, rounding=ROUND_HALF_EVEN)
    return DayChange(change, percent or Decimal(0))


def format_day_change(change: DayChange | None) -> str:
    """Return the change such as `today +1.25 (+0.71%)`. Empty if it is not known."""
    if change is None:
        return ""
    return f"today {_format_signed(change.amount)} ({_format_signed(change.percent)}%)"


def _format_signed(value: Decimal) -> str:
    return f"+{format_money(value)}" if value > 0 else format_money(value)
