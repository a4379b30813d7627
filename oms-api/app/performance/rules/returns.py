"""Time-weighted returns: a flow of cash is neither a gain nor a loss."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise

from app.performance.rules.values import CONTEXT, ONE, DailyReturn, EquityPoint


def compute_growth(previous: EquityPoint, current: EquityPoint) -> Decimal | None:
    """Return 1 plus the return between two points. Flows in between are removed at the later point.

    Return None if the equity at the start is zero or below.
    """
    if previous.equity <= 0:
        return None
    earned = current.equity - (current.flows - previous.flows)
    return CONTEXT.divide(earned, previous.equity)


def compute_growth_index(points: Sequence[EquityPoint]) -> list[Decimal] | None:
    """Return the index of chained returns at each point, which starts at 1. None if a return is undefined."""
    index = [ONE]
    for previous, current in pairwise(points):
        growth = compute_growth(previous, current)
        if growth is None:
            return None
        index.append(CONTEXT.multiply(index[-1], growth))
    return index if points else []


def compute_daily_returns(points: Iterable[EquityPoint]) -> list[DailyReturn]:
    """Return the return of each day that ends at a close. The first point is the start of the first day."""
    returns: list[DailyReturn] = []
    growth: Decimal | None = ONE
    for previous, current in pairwise(points):
        step = compute_growth(previous, current)
        growth = None if growth is None or step is None else CONTEXT.multiply(growth, step)
        if current.is_close:
            returns.append(DailyReturn(current.at, None if growth is None else growth - ONE))
            growth = ONE
    return returns
