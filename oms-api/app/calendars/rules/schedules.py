"""Build the days of a market from its regular hours and its exceptional days."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from app.calendars.rules.values import (
    Day,
    DayKind,
    ExceptionalDay,
    MarketSegment,
    MarketTerms,
    Phase,
    PhaseName,
    RegularHours,
    TradingSession,
)

ONE_DAY = timedelta(days=1)
SATURDAY = 5  # as `date.weekday` counts


def build_days(
    terms: MarketTerms,
    segment: MarketSegment,
    hours: Sequence[RegularHours],
    exceptions: Sequence[ExceptionalDay],
) -> list[Day]:
    """Return the days of a segment that the market's table covers, in time order.

    Weekends without a session are left out. `hours` may contain the hours of other markets and segments.
    """
    zone = ZoneInfo(terms.time_zone)
    own = [row for row in hours if row.market is terms.market and row.segment is segment]
    exceptional = {day: list(rows) for day, rows in groupby(exceptions, key=lambda row: row.date)}
    return list(_iterate_days(terms, zone, own, exceptional))


def build_instant(day: date, local: time, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a local date and time in the zone."""
    return datetime.combine(day, local, zone).astimezone(UTC)


def _iterate_days(
    terms: MarketTerms,
    zone: ZoneInfo,
    hours: Sequence[RegularHours],
    exceptional: Mapping[date, Sequence[ExceptionalDay]],
) -> Iterator[Day]:
    for number in range((terms.known_until - terms.known_from).days + 1):
        day = terms.known_from + number * ONE_DAY
        rows = exceptional.get(day)
        if rows is None:
            if day.weekday() < SATURDAY:
                yield _build_regular_day(day, hours, zone)
        elif rows[0].kind is DayKind.REGULAR:
            yield _build_regular_day(day, hours, zone)._replace(name=rows[0].name, source=rows[0].source)
        else:
            yield _build_exceptional_day(rows, zone)


def _build_exceptional_day(rows: Sequence[ExceptionalDay], zone: ZoneInfo) -> Day:
    first = rows[0]
    sessions = tuple(
        TradingSession(row.date, (_build_phase(PhaseName.CONTINUOUS, row.date, row.open, row.close, zone),))
        for row in rows
        if row.open is not None and row.close is not None
    )
    return Day(first.date, first.kind, sessions, first.name, first.source)


def _build_regular_day(day: date, hours: Sequence[RegularHours], zone: ZoneInfo) -> Day:
    valid_from = max(row.valid_from for row in hours if row.valid_from <= day)
    rows = sorted((row for row in hours if row.valid_from == valid_from), key=lambda row: row.open)
    phases = tuple(_build_phase(row.phase, day, row.open, row.close, zone) for row in rows)
    return Day(day, DayKind.REGULAR, (TradingSession(day, phases),), "", rows[0].source)


def _build_phase(name: PhaseName, day: date, opens: time, closes: time, zone: ZoneInfo) -> Phase:
    return Phase(name, build_instant(day, opens, zone), build_instant(day, closes, zone))
