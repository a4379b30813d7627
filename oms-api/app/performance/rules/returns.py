"""Time-weighted returns: a flow of cash is neither a gain nor a loss."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from app.performance.rules.values import DailyReturn, EquityPoint


def compute_growth(previous: EquityPoint, current: EquityPoint) -> float | None:
    """Return 1 plus the return between two points. Flows in between are removed at the later point.

    Return None if the equity at the start is zero or below.
    """
    if previous.equity <= 0:
        return None
    earned = current.equity - (current.flows - previous.flows)
    return earned / previous.equity


def list_growth(points: Sequence[EquityPoint]) -> list[float | None]:
    """Return the growth from each point to the next."""
    return [compute_growth(previous, current) for previous, current in pairwise(points)]


def compute_growth_index(growth: Iterable[float | None]) -> list[float] | None:
    """Return the index of chained growth at each point, which starts at 1. None if one is undefined."""
    index = [1.0]
    for step in growth:
        if step is None:
            return None
        index.append(index[-1] * step)
    return index


def compute_daily_returns(points: Sequence[EquityPoint], growth: Iterable[float | None]) -> list[DailyReturn]:
    """Return the return of each day that ends at a close. The first point is the start of the first day."""
    returns: list[DailyReturn] = []
    chained: float | None = 1.0
    for current, step in zip(points[1:], growth, strict=True):
        chained = None if chained is None or step is None else chained * step
        if current.is_close:
            returns.append(DailyReturn(current.at, None if chained is None else chained - 1.0))
            chained = 1.0
    return returns
