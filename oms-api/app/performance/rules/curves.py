"""Equity curves: how far back they reach, and how many of their points are shown."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.performance.rules.values import EquityPoint

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CurveInterval(StrEnum):
    """The distance between the points of a curve. `1d` shows the closes of the portfolio's P&L day."""

    FIVE_SECONDS = "5s"
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """Return the length."""
        return _LENGTHS[self]


class CurvePeriod(StrEnum):
    """How far back a curve reaches. A month is 30 days, a year 365."""

    DAY = "1D"
    WEEK = "1W"
    MONTH = "1M"
    QUARTER = "3M"
    YEAR = "1Y"
    ALL = "all"

    @property
    def length(self) -> timedelta | None:
        """Return the length, None for all."""
        return _PERIODS[self].length

    @property
    def interval(self) -> CurveInterval:
        """Return the interval that shows the period in at most about 1,500 points."""
        return _PERIODS[self].interval


class _PeriodTerms(NamedTuple):
    length: timedelta | None
    interval: CurveInterval


_LENGTHS = {
    CurveInterval.FIVE_SECONDS: timedelta(seconds=5),
    CurveInterval.MINUTE: timedelta(minutes=1),
    CurveInterval.FIVE_MINUTES: timedelta(minutes=5),
    CurveInterval.QUARTER: timedelta(minutes=15),
    CurveInterval.HOUR: timedelta(hours=1),
    CurveInterval.DAY: timedelta(days=1),
}
_PERIODS = {
    CurvePeriod.DAY: _PeriodTerms(timedelta(days=1), CurveInterval.MINUTE),
    CurvePeriod.WEEK: _PeriodTerms(timedelta(days=7), CurveInterval.QUARTER),
    CurvePeriod.MONTH: _PeriodTerms(timedelta(days=30), CurveInterval.HOUR),
    CurvePeriod.QUARTER: _PeriodTerms(timedelta(days=90), CurveInterval.DAY),
    CurvePeriod.YEAR: _PeriodTerms(timedelta(days=365), CurveInterval.DAY),
    CurvePeriod.ALL: _PeriodTerms(None, CurveInterval.DAY),
}


def thin_curve(points: Iterable[EquityPoint], interval: CurveInterval) -> list[EquityPoint]:
    """Return the last point of each interval, in time order."""
    length, kept, previous = interval.length, [], None
    for point in points:
        slot = (point.at - _EPOCH) // length
        if slot == previous:
            kept[-1] = point
        else:
            kept.append(point)
            previous = slot
    return kept
