"""Dates of a market that the operator set, which take precedence over its table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from itertools import pairwise
from typing import NamedTuple

from app.calendars.rules.schedules import ONE_DAY, SATURDAY
from app.calendars.rules.values import DayKind, ExceptionalDay, MarketIdentifier, MarketTerms

MAX_EXTENSION = timedelta(days=800)  # how far past the end of its table a market can be extended
_UNSET_DAY_SOURCE = "past the table; not set by the operator"
KINDS_WITH_HOURS = frozenset({DayKind.HALF_DAY, DayKind.SPECIAL})


class LocalHours(NamedTuple):
    """The open and the close of a session, in the market's time zone."""

    open: time
    close: time


class CalendarOverride(NamedTuple):
    """A date that the operator set. A REGULAR one has the regular hours of each segment."""

    market: MarketIdentifier
    date: date
    kind: DayKind
    sessions: tuple[LocalHours, ...]
    name: str
    source: str


class MarketTable(NamedTuple):
    """The terms of a market and its exceptional days, in time order."""

    terms: MarketTerms
    exceptions: Sequence[ExceptionalDay]


def find_hours_error(kind: DayKind, sessions: Sequence[LocalHours]) -> str | None:
    """Return the error in the sessions of a date of that kind, or None."""
    if (kind in KINDS_WITH_HOURS) != bool(sessions):
        has = "needs" if kind in KINDS_WITH_HOURS else "has no"
        return f"A date of the kind {kind} {has} sessions."
    edges = [edge for session in sessions for edge in session]
    if any(earlier >= later for earlier, later in pairwise(edges)):
        return "Each session must open before it closes, and after the one before it closed."
    return None


def apply_overrides(table: MarketTable, overrides: Sequence[CalendarOverride]) -> MarketTable:
    """Return the table with the overrides of its market.

    Dates past its end extend it. Weekdays in between that the operator did not set are UNKNOWN.
    """
    terms = table.terms
    by_date = {override.date: override for override in overrides if override.market is terms.market}
    extended = terms._replace(known_until=max((terms.known_until, *by_date)))
    rows = [row for row in table.exceptions if row.date not in by_date]
    rows += [row for calendar_override in by_date.values() for row in _build_rows(calendar_override)]
    rows += _build_gaps(terms.known_until, extended.known_until, by_date)
    return MarketTable(extended, sorted(rows, key=lambda row: (row.date, row.open or time.min)))


def _build_rows(override: CalendarOverride) -> list[ExceptionalDay]:
    hours = override.sessions or (None,)
    return [
        ExceptionalDay(
            override.date,
            override.kind,
            session and session.open,
            session and session.close,
            override.name,
            override.source,
        )
        for session in hours
    ]


def _build_gaps(
    known_until: date, until: date, by_date: Mapping[date, CalendarOverride]
) -> Iterator[ExceptionalDay]:
    for number in range(1, (until - known_until).days):
        day = known_until + number * ONE_DAY
        if day not in by_date and day.weekday() < SATURDAY:
            yield ExceptionalDay(day, DayKind.UNKNOWN, None, None, "", _UNSET_DAY_SOURCE)
