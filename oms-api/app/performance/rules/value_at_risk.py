"""Historical value at risk: the loss of the current positions at the price changes of the last days."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import NamedTuple

from app.money import ZERO
from app.performance.rules.values import CONTEXT, ONE

MAX_DAYS = 250
MIN_DAYS = 100


class TailRisk(NamedTuple):
    """A loss in the portfolio's currency that is exceeded on `1 - confidence` of days.

    The expected shortfall is the mean of that loss and of all larger ones. A gain is a negative loss.
    """

    value_at_risk: Decimal
    expected_shortfall: Decimal


def compute_daily_profits(
    market_values: Mapping[str, Decimal], closes: Mapping[str, Sequence[Decimal]]
) -> list[Decimal]:
    """Return the hypothetical P&L of the market values (by symbol) on each day that all closes cover.

    `closes` are daily closes by symbol, in time order, in the portfolio's currency, the last of each of the
    same day. At most MAX_DAYS days are used.
    """
    days = min((len(closes.get(symbol, ())) - 1 for symbol in market_values), default=0)
    days = max(min(days, MAX_DAYS), 0)
    profits = [ZERO] * days
    for symbol, value in market_values.items():
        recent = closes[symbol][-(days + 1) :] if days else ()
        for day, (previous, current) in enumerate(pairwise(recent)):
            relative_change = CONTEXT.divide(current, previous) - ONE
            profits[day] += CONTEXT.multiply(value, relative_change)
    return profits


def align_closes(closes: Mapping[str, Mapping[date, Decimal]]) -> dict[str, list[Decimal]]:
    """Return the closes of each symbol on those days that all symbols have, in time order."""
    days = set.intersection(*(set(close) for close in closes.values())) if closes else set()
    ordered = sorted(days)
    return {symbol: [by_day[day] for day in ordered] for symbol, by_day in closes.items()}


def compute_tail_risk(profits: Sequence[Decimal], confidence: Decimal) -> TailRisk | None:
    """Return the ⌈(1 - confidence) × n⌉-th largest loss, not interpolated. None under MIN_DAYS days."""
    count = len(profits)
    if count < MIN_DAYS:
        return None
    losses = sorted((-profit for profit in profits), reverse=True)
    place = int(((ONE - confidence) * count).to_integral_value(ROUND_CEILING))
    tail = losses[:place]
    return TailRisk(tail[-1], CONTEXT.divide(sum(tail, ZERO), place))
