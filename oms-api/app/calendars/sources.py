"""The calendars of all markets in the tables of this release, in `data`."""

from collections.abc import Iterator, Sequence
from copy import copy
from datetime import date, datetime, timedelta
from importlib import resources
from typing import Self

from app.calendars.errors import SessionsUnknown, UnknownSegment
from app.calendars.rules.calendars import Calendar, ContinuousCalendar, TableCalendar, is_known_open
from app.calendars.rules.market_lookup import find_calendar_key
from app.calendars.rules.overrides import CalendarOverride, MarketTable, apply_overrides
from app.calendars.rules.schedules import build_days
from app.calendars.rules.square_off import find_square_off
from app.calendars.rules.tables import (
    parse_exceptional_days,
    parse_hours,
    parse_markets,
    parse_square_off_rules,
)
from app.calendars.rules.values import CalendarKey, Day, MarketIdentifier, MarketSegment

_MICROSECOND = timedelta(microseconds=1)


class ReleasedCalendars:
    """The calendar of each segment of each market, without the dates that the operator set."""

    def __init__(self) -> None:
        self._hours = parse_hours(_read_table("hours"))
        self._square_off_rules = parse_square_off_rules(_read_table("square_off"))
        self._tables = [
            MarketTable(terms, parse_exceptional_days(_read_table(terms.market)))
            for terms in parse_markets(_read_table("markets"))
        ]
        self._calendars = self._build_calendars([])

    @classmethod
    def load(cls) -> Self:
        """Load the tables of this release, which a process parses once."""
        if cls not in _loaded:
            _loaded[cls] = cls()
        released_calendars = _loaded[cls]
        assert isinstance(released_calendars, cls)  # noqa: S101  # for the type checker
        return copy(released_calendars)

    def get_calendar(
        self, market: MarketIdentifier, segment: MarketSegment = MarketSegment.SHARES
    ) -> Calendar:
        """Return the calendar. Raises UnknownSegment if the market has no such segment."""
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
        return (
            None
            if key is None
            else self._calendars.get(CalendarKey(key.market, MarketSegment.EXTENDED_HOURS))
        )

    def may_be_open(self, exchange: str, asset_class: str, instant: datetime) -> bool:
        """Return whether an instrument may trade at the instant, extended hours included.

        True if its market is unknown, false if the session is unknown.
        """
        terms = (exchange, asset_class)
        calendars = list(filter(None, (self.find_calendar(*terms), self.find_extended_calendar(*terms))))
        return not calendars or any(is_known_open(calendar, instant) for calendar in calendars)

    def find_last_square_off(self, exchange: str, asset_class: str, instant: datetime) -> datetime | None:
        """Return when intraday positions of an instrument were last closed, at or before the instant.

        None if its market closes none, or if its sessions are unknown.
        """
        key = find_calendar_key(exchange, asset_class)
        return None if key is None else self._find_last_square_off(key, instant)

    def iterate_square_offs(self, exchange: str, asset_class: str, after: datetime) -> Iterator[datetime]:
        """Yield when intraday positions of an instrument are closed after an instant, in time order.

        There are none if its market closes none; they end where its sessions are unknown.
        """
        key, at = find_calendar_key(exchange, asset_class), after
        if key is None or all((rule.market, rule.segment) != key for rule in self._square_off_rules):
            return
        while True:
            try:
                session = self._calendars[key].get_session_or_next(at)
            except SessionsUnknown:
                return
            square_off, at = find_square_off(key, session, self._square_off_rules), session.close
            if square_off is not None and square_off > after:
                yield square_off

    def find_latest_square_off(self, instant: datetime) -> datetime | None:
        """Return the last instant at which the intraday positions of any segment were closed."""
        keys = {CalendarKey(rule.market, rule.segment) for rule in self._square_off_rules}
        return max(filter(None, (self._find_last_square_off(key, instant) for key in keys)), default=None)

    def list_days(
        self, market: MarketIdentifier, segment: MarketSegment, start: date, end: date
    ) -> list[Day]:
        """Return the days from `start` to `end`, both included, without weekends that have no session.

        Raises SessionsUnknown if the tables do not cover them, and UnknownSegment.
        """
        return self.get_calendar(market, segment).list_days(start, end)

    def _build_calendars(self, overrides: Sequence[CalendarOverride]) -> dict[CalendarKey, Calendar]:
        calendars: dict[CalendarKey, Calendar] = {
            CalendarKey(MarketIdentifier.CRYPTO, MarketSegment.SHARES): ContinuousCalendar()
        }
        for table in self._tables:
            terms, exceptions = apply_overrides(table, overrides)
            for segment in {row.segment for row in self._hours if row.market is terms.market}:
                days = build_days(terms, segment, self._hours, exceptions)
                calendars[CalendarKey(terms.market, segment)] = TableCalendar(terms, days)
        return calendars

    def _find_last_square_off(self, key: CalendarKey, instant: datetime) -> datetime | None:
        calendar = self._calendars[key]
        try:
            session = calendar.get_session_or_previous(instant)
            square_off = find_square_off(key, session, self._square_off_rules)
            if square_off is None or square_off <= instant:
                return square_off
            session = calendar.get_session_or_previous(session.open - _MICROSECOND)
        except SessionsUnknown:
            return None
        return find_square_off(key, session, self._square_off_rules)


def _read_table(name: str) -> str:
    return resources.files("app.calendars").joinpath("data", f"{name}.csv").read_text("utf-8")


_loaded: dict[type[ReleasedCalendars], ReleasedCalendars] = {}
