"""Equity curves: how far back they reach, and how many of their points are shown."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from app.timestamps import Timestamp


class EquityCurve(NamedTuple):
    """The equity of a portfolio at instants, in time order, as columns of text: a day has 17,280 points.

    Instants are RFC 3339 in UTC with six decimals. Amounts have eight decimals; `flows` is the sum of
    deposits less withdrawals so far.
    """

    instants: list[str]
    equities: list[str]
    flows: list[str]

    def select_since(self, start: Timestamp) -> "EquityCurve":
        """Return the points at `start` or later."""
        first = bisect_left(self.instants, start)
        return EquityCurve._make(column[first:] for column in self) if first else self

    def split_after(self, end: Timestamp) -> tuple["EquityCurve", "EquityCurve"]:
        """Return the points up to `end`, and the later ones."""
        index = bisect_right(self.instants, end)
        return (
            EquityCurve._make(column[:index] for column in self),
            EquityCurve._make(column[index:] for column in self),
        )


class CurveInterval(StrEnum):
    """The distance between the points of a curve. `1d` shows the closes of the portfolio's P&L day."""

    FIVE_SECONDS = "5s"
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """Return the time between two points."""
        return _LENGTHS[self]


class CurvePeriod(StrEnum):
    """The period of a curve. A month is 30 days, a year 365."""

    DAY = "1D"
    WEEK = "1W"
    MONTH = "1M"
    THREE_MONTHS = "3M"
    YEAR = "1Y"
    ALL = "all"

    @property
    def length(self) -> timedelta | None:
        """Return the length, None for `all`."""
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
    CurveInterval.FIFTEEN_MINUTES: timedelta(minutes=15),
    CurveInterval.HOUR: timedelta(hours=1),
    CurveInterval.DAY: timedelta(days=1),
}
_PERIODS = {
    CurvePeriod.DAY: _PeriodTerms(timedelta(days=1), CurveInterval.MINUTE),
    CurvePeriod.WEEK: _PeriodTerms(timedelta(days=7), CurveInterval.FIFTEEN_MINUTES),
    CurvePeriod.MONTH: _PeriodTerms(timedelta(days=30), CurveInterval.HOUR),
    CurvePeriod.THREE_MONTHS: _PeriodTerms(timedelta(days=90), CurveInterval.DAY),
    CurvePeriod.YEAR: _PeriodTerms(timedelta(days=365), CurveInterval.DAY),
    CurvePeriod.ALL: _PeriodTerms(None, CurveInterval.DAY),
}


# The part of an instant's text that identifies its interval: a prefix, or a prefix and the number after it,
# rounded down to a multiple: of five minutes, 2026-11-20T15:07 gives 2026-11-20T15:05. Intervals begin at
# 00:00 UTC.
_MINUTE_AT, _SECOND_AT = 14, 17
_PREFIXES = {CurveInterval.MINUTE: 16, CurveInterval.HOUR: 13, CurveInterval.DAY: 10}
_MULTIPLES = {
    CurveInterval.FIVE_SECONDS: (_SECOND_AT, 5),
    CurveInterval.FIVE_MINUTES: (_MINUTE_AT, 5),
    CurveInterval.FIFTEEN_MINUTES: (_MINUTE_AT, 15),
}


def thin_curve(curve: EquityCurve, interval: CurveInterval) -> EquityCurve:
    """Return the last point of each interval, in time order."""
    slots = _list_slots(curve.instants, interval)
    last_indexes = dict(zip(slots, range(len(slots)), strict=True)).values()
    if len(last_indexes) == len(slots):
        return curve
    return EquityCurve._make([column[index] for index in last_indexes] for column in curve)


def extend_curve(curve: EquityCurve, later: EquityCurve, interval: CurveInterval) -> EquityCurve:
    """Return a thinned curve with later points, thinned too: they may continue its last interval."""
    if not later.instants:
        return curve
    end = EquityCurve._make([*earlier[-1:], *column] for earlier, column in zip(curve, later, strict=True))
    thinned = thin_curve(end, interval)
    return EquityCurve._make([*earlier[:-1], *column] for earlier, column in zip(curve, thinned, strict=True))


def prepend_curve(earlier: EquityCurve, curve: EquityCurve, interval: CurveInterval) -> EquityCurve:
    """Return a thinned curve with the last point of an earlier one, unless that is in its first interval."""
    first = EquityCurve._make(column[:1] for column in curve)
    head = extend_curve(earlier, first, interval)
    return EquityCurve._make([*before, *column[1:]] for before, column in zip(head, curve, strict=True))


def convert_to_floats(texts: Sequence[str]) -> list[float]:
    """Return amounts as floats, in which statistics are computed.

    If all amounts are equal, as flows often are, one is parsed.
    """
    if texts and texts.count(texts[0]) == len(texts):
        return [float(texts[0])] * len(texts)
    return list(map(float, texts))


def _list_slots(instants: list[str], interval: CurveInterval) -> list[str]:
    if interval in _PREFIXES:
        size = _PREFIXES[interval]
        return [instant[:size] for instant in instants]
    start, step = _MULTIPLES[interval]
    end = start + 2
    rounded = {f"{number:02d}": f"{number // step * step:02d}" for number in range(60)}
    return [instant[:start] + rounded[instant[start:end]] for instant in instants]
