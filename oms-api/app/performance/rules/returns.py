"""Time-weighted returns: a flow of cash is neither a gain nor a loss."""

from collections.abc import Iterable, Sequence
from itertools import pairwise


def list_growth(equities: Sequence[float], flows: Sequence[float]) -> list[float | None]:
    """Return 1 plus the return from each point to the next. `flows` are running sums.

    Flows in between are removed at the later point. The growth from an equity of zero or below is None.
    """
    return [
        (equity - (paid_in - paid_before)) / before if before > 0 else None
        for (before, equity), (paid_before, paid_in) in zip(pairwise(equities), pairwise(flows), strict=True)
    ]


def compute_growth_index(growth: Iterable[float | None]) -> list[float] | None:
    """Return the index of chained growth at each point, which starts at 1. None if one is undefined."""
    level = 1.0
    index = [level]
    for step in growth:
        if step is None:
            return None
        level *= step
        index.append(level)
    return index


def compute_daily_returns(is_close: Iterable[bool], growth: Iterable[float | None]) -> list[float | None]:
    """Return the simple return of each day that ends at a close.

    `is_close` states whether each step of `growth` ends at a close. A return is None if the equity was
    zero or below in between.
    """
    returns: list[float | None] = []
    chained: float | None = 1.0
    for ends_day, step in zip(is_close, growth, strict=True):
        chained = None if chained is None or step is None else chained * step
        if ends_day:
            returns.append(None if chained is None else chained - 1.0)
            chained = 1.0
    return returns
