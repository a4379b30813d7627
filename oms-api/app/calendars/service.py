"""The calendars of all markets: the tables in `data`, and the dates that the operator set."""

from collections.abc import Iterator, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.audit.queries.trail import list_actions
from app.audit.rules.actions import Difference, find_differences
from app.calendars import queries
from app.calendars.errors import DayNotSettable, SessionsUnknown, UnknownSegment
from app.calendars.rules.calendars import Calendar, ContinuousCalendar, TableCalendar, is_known_open, phase_at
from app.calendars.rules.market_lookup import find_calendar_key
from app.calendars.rules.overrides import MAX_EXTENSION, CalendarOverride, MarketTable, apply_overrides
from app.calendars.rules.schedules import build_days
from app.calendars.rules.square_off import find_square_off
from app.calendars.rules.tables import (
    parse_exceptional_days,
    parse_hours,
    parse_markets,
    parse_square_off_rules,
)
from app.calendars.rules.values import CalendarKey, Clock, Day, Market, Segment

_MICROSECOND = timedelta(microseconds=1)


class DayChange(NamedTuple):
    """A date that was set: its row before, None if there was none, and what it is now."""

    previous: dict[str, Any] | None
    updated: CalendarOverride


class Calendars:
    """The calendar of each segment of each market."""

    def __init__(self) -> None:
        self._hours = parse_hours(_read_table("hours"))
        self._square_off_rules = parse_square_off_rules(_read_table("square_off"))
        self._tables = [
            MarketTable(terms, parse_exceptional_days(_read_table(terms.market)))
            for terms in parse_markets(_read_table("markets"))
        ]
        self._version = 0
        self._calendars = self._build([])

    @classmethod
    def load(cls) -> "Calendars":
        """Load the tables of this release, which a process parses once."""
        return copy(_load_published())

    def refresh(self, connection: Connection) -> None:
        """Apply the dates that the operator has set since the last call, in any process."""
        version = queries.find_version(connection)
        if version != self._version:
            self._calendars = self._build(queries.list_overrides(connection))
            self._version = version

    def _build(self, overrides: Sequence[CalendarOverride]) -> dict[CalendarKey, Calendar]:
        calendars: dict[CalendarKey, Calendar] = {
            CalendarKey(Market.CRYPTO, Segment.SHARES): ContinuousCalendar()
        }
        for table in self._tables:
            terms, exceptions = apply_overrides(table, overrides)
            for segment in {row.segment for row in self._hours if row.market is terms.market}:
                days = build_days(terms, segment, self._hours, exceptions)
                calendars[CalendarKey(terms.market, segment)] = TableCalendar(terms, days)
        return calendars

    def set_day(
        self, connection: Connection, override: CalendarOverride, set_by: str, at: datetime
    ) -> DayChange:
        """Set the sessions of a date, and return it before and after. The caller commits.

        Raise DayNotSettable if the market cannot have such a date.
        """
        self._require_settable(override.market, override.date)
        queries.lock_days(connection)
        key = (override.market.value, override.date.isoformat())
        found = [row for row in queries.list_rows(connection) if (row["market"], row["date"]) == key]
        queries.set_day(connection, override, queries.find_version(connection) + 1, set_by, at)
        return DayChange(found[0] if found else None, override)

    def _require_settable(self, market: Market, day: date) -> None:
        terms = next((table.terms for table in self._tables if table.terms.market is market), None)
        if terms is None:
            raise DayNotSettable(market)
        latest = terms.known_until + MAX_EXTENSION
        if not terms.known_from <= day <= latest:
            raise DayNotSettable(market, terms.known_from, latest)

    def get_calendar(self, market: Market, segment: Segment = Segment.SHARES) -> Calendar:
        """Return the calendar. Raise UnknownSegment if the market has no such segment."""
        calendar = self._calendars.get(CalendarKey(market, segment))
        if calendar is None:
            raise UnknownSegment(market, segment)
        return calendar

    def find_calendar(self, exchange: str, asset_class: str) -> Calendar | None:
        """Return the calendar of an instrument, None if its market is unknown."""
        key = find_calendar_key(exchange, asset_class)
        return None if key is None else self._calendars[key]

    def find_extended_calendar(self, exchange: str, asset_class: str) -> Calendar | None:
        """Return the calendar of an instrument's extended hours, None if its market has none."""
        key = find_calendar_key(exchange, asset_class)
        return None if key is None else self._calendars.get(CalendarKey(key.market, Segment.EXTENDED_HOURS))

    def may_be_open(self, exchange: str, asset_class: str, instant: datetime) -> bool:
        """Return whether an instrument may trade at the instant, extended hours included.

        True if its market is unknown, false if the session is unknown.
        """
        terms = (exchange, asset_class)
        known = list(filter(None, (self.find_calendar(*terms), self.find_extended_calendar(*terms))))
        return not known or any(is_known_open(calendar, instant) for calendar in known)

    def find_last_square_off(self, exchange: str, asset_class: str, instant: datetime) -> datetime | None:
        """Return when intraday positions of an instrument were last closed, at or before the instant.

        None if its market closes none, or if its sessions are unknown.
        """
        key = find_calendar_key(exchange, asset_class)
        return None if key is None else self._find_last_square_off(key, instant)

    def find_latest_square_off(self, instant: datetime) -> datetime | None:
        """Return the last instant at which the intraday positions of any segment were closed."""
        keys = {CalendarKey(rule.market, rule.segment) for rule in self._square_off_rules}
        return max(filter(None, (self._find_last_square_off(key, instant) for key in keys)), default=None)

    def _find_last_square_off(self, key: CalendarKey, instant: datetime) -> datetime | None:
        calendar = self._calendars[key]
        try:
            session = calendar.session_until(instant)
            found = find_square_off(key, session, self._square_off_rules)
            if found is None or found <= instant:
                return found
            session = calendar.session_until(session.open - _MICROSECOND)
        except SessionsUnknown:
            return None
        return find_square_off(key, session, self._square_off_rules)

    def list_days(self, market: Market, segment: Segment, start: date, end: date) -> list[Day]:
        """Return the days from `start` to `end`, both included, without weekends that have no session.

        Raise SessionsUnknown if the tables do not cover them, and UnknownSegment.
        """
        return self.get_calendar(market, segment).list_days(start, end)

    def get_day(self, market: Market, day: date) -> Day:
        """Return a date that was set, with the sessions of the segment SHARES."""
        return self.get_calendar(market).list_days(day, day)[0]

    def read_clock(self, market: Market, segment: Segment, instant: datetime) -> Clock:
        """Return the state of the market at the instant. Raise UnknownSegment."""
        calendar = self.get_calendar(market, segment)
        try:
            phase = phase_at(calendar, instant)
            is_open = phase is not None
        except SessionsUnknown:
            phase, is_open = None, None
        return Clock(
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


def verify_calendars(connection: Connection) -> Iterator[Difference]:
    """Yield each date that differs from what the audit log says the operator last set."""
    stored = {f"{row['market']} {row['date']}": row for row in queries.list_rows(connection)}
    expected = {
        act.target: (number, act) for number, act in enumerate(list_actions(connection, "calendar.set"), 1)
    }
    for target in sorted(stored.keys() | expected.keys()):
        place = f"calendar day {target}"
        if target not in stored or target not in expected:
            missing = "row" if target not in stored else "audit entry"
            yield Difference(place, missing, "none", "one")
            continue
        version, act = expected[target]
        row = stored[target]
        facts = row | {"sessions": orjson.loads(row["sessions"])}
        written = {"version": version, "set_by": act.actor, "set_at": act.at}
        yield from find_differences(place, facts, act.after | written)


def _find_next_open(calendar: Calendar, instant: datetime) -> datetime | None:
    try:
        return calendar.next_open(instant)
    except SessionsUnknown:
        return None


def _find_next_close(calendar: Calendar, instant: datetime) -> datetime | None:
    try:
        return calendar.next_close(instant)
    except SessionsUnknown:
        return None


@cache
def _load_published() -> Calendars:
    return Calendars()


def _read_table(name: str) -> str:
    return resources.files("app.calendars").joinpath("data", f"{name}.csv").read_text("utf-8")
