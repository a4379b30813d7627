"""The calendars of all markets, loaded from the tables in `data`."""

from collections.abc import Mapping
from datetime import date, datetime
from importlib import resources
from typing import Self

from app.calendars.errors import SessionsUnknown, UnknownSegment
from app.calendars.rules.calendars import Calendar, ContinuousCalendar, TableCalendar, is_known_open, phase_at
from app.calendars.rules.market_lookup import find_calendar_key
from app.calendars.rules.schedules import build_days
from app.calendars.rules.tables import parse_exceptional_days, parse_hours, parse_markets
from app.calendars.rules.values import CalendarKey, Clock, Day, Market, Segment


class Calendars:
    """The calendar of each segment of each market."""

    def __init__(self, calendars: Mapping[CalendarKey, Calendar]) -> None:
        self._calendars = calendars

    @classmethod
    def load(cls) -> Self:
        """Load the tables of this release."""
        hours = parse_hours(_read_table("hours"))
        calendars: dict[CalendarKey, Calendar] = {
            CalendarKey(Market.CRYPTO, Segment.SHARES): ContinuousCalendar()
        }
        for terms in parse_markets(_read_table("markets")):
            exceptions = parse_exceptional_days(_read_table(terms.market))
            for segment in {row.segment for row in hours if row.market is terms.market}:
                days = build_days(terms, segment, hours, exceptions)
                calendars[CalendarKey(terms.market, segment)] = TableCalendar(terms, days)
        return cls(calendars)

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

        True where its market is unknown, false where the session is.
        """
        terms = (exchange, asset_class)
        known = list(filter(None, (self.find_calendar(*terms), self.find_extended_calendar(*terms))))
        return not known or any(is_known_open(calendar, instant) for calendar in known)

    def list_days(self, market: Market, segment: Segment, start: date, end: date) -> list[Day]:
        """Return the days from `start` to `end`, both included, without weekends that have no session.

        Raise SessionsUnknown if the tables do not cover them, and UnknownSegment.
        """
        return self.get_calendar(market, segment).list_days(start, end)

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


def _read_table(name: str) -> str:
    return resources.files("app.calendars").joinpath("data", f"{name}.csv").read_text("utf-8")
