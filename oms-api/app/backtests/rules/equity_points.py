"""Which points of an equity curve are kept: all of a short backtest, evenly spaced ones of a long one."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

MAX_POINTS = 4096
DAY_SECONDS = 86_400


class EquityPoint(NamedTuple):
    """The value of a portfolio at an instant in seconds since 1970. `is_close`: the last of a UTC day."""

    at: int
    cash: Decimal
    market_value: Decimal
    gross_exposure: Decimal
    charges: Decimal
    is_close: bool

    @property
    def equity(self) -> Decimal:
        """Cash and market value."""
        return self.cash + self.market_value


class BacktestEquityCurve:
    """The kept points, in time order. The closes of days and the last point are always kept."""

    def __init__(self, max_points: int = MAX_POINTS) -> None:
        self._max_points = max_points
        self._points: list[EquityPoint] = []
        self._between = 0  # points that are not closes
        self.step = 1  # instants from one kept point to the next

    @property
    def points(self) -> Sequence[EquityPoint]:
        """The kept points."""
        return self._points

    def append(self, point: EquityPoint) -> None:
        """Add a point, and thin the curve when it has too many. It replaces a point of the same instant."""
        if self._points and self._points[-1].at == point.at:
            self._between -= not self._points.pop().is_close
        self._points.append(point)
        self._between += not point.is_close
        if self._between > self._max_points:
            self.step *= 2
            self._points = list(_thin_points(self._points))
            self._between = sum(not equity_point.is_close for equity_point in self._points)


def _thin_points(points: Sequence[EquityPoint]) -> Iterator[EquityPoint]:
    """Yield the closes, the first point, and every second of the others."""
    number = 0
    for point in points:
        if point.is_close:
            yield point
            continue
        if number % 2 == 0:
            yield point
        number += 1


def split_days(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first index of each UTC day in a column of bar starts, and the index after its last one."""
    first, size = 0, len(starts)
    while first < size:
        midnight = (starts[first] // DAY_SECONDS + 1) * DAY_SECONDS
        last = bisect_left(starts, midnight, first)
        yield first, last
        first = last
