"""The calendars of all markets, and the dates that the operator set."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.calendars import queries
from app.calendars.errors import DayNotSettable, SessionsUnknown
from app.calendars.rules.calendars import Calendar, find_phase
from app.calendars.rules.overrides import MAX_EXTENSION, CalendarOverride
from app.calendars.rules.values import Day, MarketClock, MarketIdentifier, MarketSegment
from app.calendars.sources import ReleasedCalendars


class DayChange(NamedTuple):
    """A date that was set: its previous row, None if there was none, and its current value."""

    previous: dict[str, Any] | None
    updated: CalendarOverride


class Calendars(ReleasedCalendars):
    """The calendar of each segment of each market, with the dates that the operator set."""

    def __init__(self) -> None:
        super().__init__()
        self._version = 0

    def refresh(self, connection: Connection) -> None:
        """Apply the dates that the operator has set since the last call, in any process."""
        version = queries.load_version(connection)
        if version != self._version:
            self._calendars = self._build_calendars(queries.list_overrides(connection))
            self._version = version

    def set_day(
        self, connection: Connection, override: CalendarOverride, set_by: str, at: datetime
    ) -> DayChange:
        """Set the sessions of a date, and return it before and after. The caller commits.

        Raises DayNotSettable if the market cannot have such a date.
        """
        self._require_settable(override.market, override.date)
        queries.lock_days(connection)
        key = (override.market.value, override.date.isoformat())
        previous_rows = [row for row in queries.list_rows(connection) if (row["market"], row["date"]) == key]
        queries.set_day(connection, override, queries.load_version(connection) + 1, set_by, at)
        return DayChange(previous_rows[0] if previous_rows else None, override)

    def _require_settable(self, market: MarketIdentifier, day: date) -> None:
        terms = next((table.terms for table in self._tables if table.terms.market is market), None)
        if terms is None:
            raise DayNotSettable(market)
        latest = terms.known_until + MAX_EXTENSION
        if not terms.known_from <= day <= latest:
            raise DayNotSettable(market, terms.known_from, latest)

    def get_day(self, market: MarketIdentifier, day: date) -> Day:
        """Return a date that was set, with the sessions of the segment SHARES."""
        return self.get_calendar(market).list_days(day, day)[0]

    def read_clock(self, market: MarketIdentifier, segment: MarketSegment, instant: datetime) -> MarketClock:
        """Return the state of the market at the instant. Raises UnknownSegment."""
        calendar = self.get_calendar(market, segment)
        try:
            phase = find_phase(calendar, instant)
            is_open = phase is not None
        except SessionsUnknown:
            phase, is_open = None, None
        return MarketClock(
            timestamp=instant,
            is_open=is_open,
            phase=None if phase is None else phase.name,
            next_open=_find_next_open(calendar, instant),
            next_close=_find_next_close(calendar, instant),
            known_until=calendar.known_until,
        )


def serialize_override(override: CalendarOverride) -> dict[str, Any]:
    """Return the facts that the audit log records of a date that was set."""
    return {
        "kind": override.kind,
        "sessions": orjson.loads(queries.format_sessions(override.sessions)),
        "name": override.name,
        "source": override.source,
    }


def verify_calendars(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each date that differs from the last value of the operator in the audit log."""
    stored_rows = {f"{row['market']} {row['date']}": row for row in queries.list_rows(connection)}
    expected = {
        act.target: (number, act) for number, act in enumerate(list_actions(connection, "calendar.set"), 1)
    }
    for target in sorted(stored_rows.keys() | expected.keys()):
        place = f"calendar day {target}"
        if target not in stored_rows or target not in expected:
            missing = "row" if target not in stored_rows else "audit entry"
            yield ActionDifference(place, missing, "none", "one")
            continue
        version, act = expected[target]
        row = stored_rows[target]
        fields = row | {"sessions": orjson.loads(row["sessions"])}
        written_fields = {"version": version, "set_by": act.actor, "set_at": act.at}
        yield from find_differences(place, fields, act.after | written_fields)


def _find_next_open(calendar: Calendar, instant: datetime) -> datetime | None:
    try:
        return calendar.get_next_open(instant)
    except SessionsUnknown:
        return None


def _find_next_close(calendar: Calendar, instant: datetime) -> datetime | None:
    try:
        return calendar.get_next_close(instant)
    except SessionsUnknown:
        return None
