"""Look-ups of sessions. A look-up that depends on a date outside the tables fails.

Sessions are [open, close): a market is closed at the instant of its close.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.schedules import ONE_DAY, build_instant
from app.calendars.rules.values import (
    Day,
    DayKind,
    MarketIdentifier,
    MarketTerms,
    Phase,
    PhaseName,
    TradingSession,
)

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


class Calendar(Protocol):
    """The sessions of a segment of a market. Instants are timezone-aware.

    Every method raises SessionsUnknown if the result depends on dates that the tables do not cover.
    """

    @property
    def known_until(self) -> date | None:
        """The last local date that is covered, or None if all dates are."""

    def list_days(self, start: date, end: date) -> list[Day]:
        """Return the days from `start` to `end`, both included, without weekends that have no session.

        Days of the kind UNKNOWN are included.
        """

    def list_sessions(self, day: date) -> tuple[TradingSession, ...]:
        """Return the sessions of a local date in time order. Weekends and holidays have none."""

    def find_session(self, instant: datetime) -> TradingSession | None:
        """Return the session at the instant, or None."""

    def get_session_or_next(self, instant: datetime) -> TradingSession:
        """Return the session at the instant, or else the next one."""

    def get_session_or_previous(self, instant: datetime) -> TradingSession:
        """Return the session at the instant, or else the one before it."""

    def get_next_open(self, instant: datetime) -> datetime:
        """Return the first open after the instant."""

    def get_next_close(self, instant: datetime) -> datetime:
        """Return the first close after the instant."""

    def get_previous_close(self, instant: datetime) -> datetime:
        """Return the last close at or before the instant."""


def is_open(calendar: Calendar, instant: datetime) -> bool:
    """Return whether a session is open at the instant."""
    return calendar.find_session(instant) is not None


def is_known_open(calendar: Calendar, instant: datetime) -> bool:
    """Return whether a session is known to be open at the instant."""
    try:
        return is_open(calendar, instant)
    except SessionsUnknown:
        return False


def find_phase(calendar: Calendar, instant: datetime) -> Phase | None:
    """Return the phase at the instant, or None."""
    session = calendar.find_session(instant)
    if session is None:
        return None
    return next(phase for phase in session.phases if instant < phase.close)


class _Gap(NamedTuple):
    """A period [start, end) with unknown sessions."""

    start: datetime
    end: datetime


class TableCalendar:
    """The calendar of a segment from its table. Look-ups use bisection."""

    def __init__(self, terms: MarketTerms, days: Sequence[Day]) -> None:
        self._terms = terms
        self._days = days
        self._dates = [day.date for day in days]
        self._sessions = [session for day in days for session in day.sessions]
        self._opens = [session.open for session in self._sessions]
        self._closes = [session.close for session in self._sessions]
        self._gaps = _find_gaps(terms, days)

    @property
    def known_until(self) -> date | None:
        """The last local date of the table."""
        return self._terms.known_until

    def list_days(self, start: date, end: date) -> list[Day]:
        """See `Calendar`."""
        if start < self._terms.known_from:
            raise self._build_unknown_error("from")
        if end > self._terms.known_until:
            raise self._build_unknown_error("to")
        return list(self._days[bisect_left(self._dates, start) : bisect_right(self._dates, end)])

    def list_sessions(self, day: date) -> tuple[TradingSession, ...]:
        """See `Calendar`."""
        if not self._terms.known_from <= day <= self._terms.known_until:
            raise self._build_unknown_error()
        index = bisect_left(self._dates, day)
        if index == len(self._dates) or self._dates[index] != day:
            return ()
        if self._days[index].kind is DayKind.UNKNOWN:
            raise self._build_unknown_error()
        return self._days[index].sessions

    def find_session(self, instant: datetime) -> TradingSession | None:
        """See `Calendar`."""
        self._require_known(instant, instant)
        index = bisect_right(self._opens, instant) - 1
        is_open_then = index >= 0 and instant < self._closes[index]
        return self._sessions[index] if is_open_then else None

    def get_session_or_next(self, instant: datetime) -> TradingSession:
        """See `Calendar`."""
        index = bisect_right(self._closes, instant)
        is_found = index < len(self._sessions)
        self._require_known(instant, self._opens[index] if is_found else _END)
        return self._sessions[index]

    def get_session_or_previous(self, instant: datetime) -> TradingSession:
        """See `Calendar`."""
        index = bisect_right(self._opens, instant) - 1
        self._require_known(self._opens[index] if index >= 0 else _BEGINNING, instant)
        return self._sessions[index]

    def get_next_open(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        return self._get_first_after(self._opens, instant)

    def get_next_close(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        return self._get_first_after(self._closes, instant)

    def get_previous_close(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        index = bisect_right(self._closes, instant) - 1
        close = self._closes[index] if index >= 0 else _BEGINNING
        self._require_known(close, instant)
        return close

    def _get_first_after(self, instants: Sequence[datetime], instant: datetime) -> datetime:
        index = bisect_right(instants, instant)
        next_instant = instants[index] if index < len(instants) else _END
        self._require_known(instant, next_instant)
        return next_instant

    def _require_known(self, start: datetime, end: datetime) -> None:
        if any(start < gap.end and gap.start <= end for gap in self._gaps):
            raise self._build_unknown_error()

    def _build_unknown_error(self, field: str | None = None) -> SessionsUnknown:
        terms = self._terms
        return SessionsUnknown(terms.market, terms.known_from, terms.known_until, field)


def _find_gaps(terms: MarketTerms, days: Sequence[Day]) -> list[_Gap]:
    zone = ZoneInfo(terms.time_zone)

    def midnight(day: date) -> datetime:
        return build_instant(day, time.min, zone)

    unknown = [day.date for day in days if day.kind is DayKind.UNKNOWN]
    return [
        _Gap(_BEGINNING, midnight(terms.known_from)),
        *(_Gap(midnight(day), midnight(day + ONE_DAY)) for day in unknown),
        _Gap(midnight(terms.known_until + ONE_DAY), _END),
    ]


class ContinuousCalendar:
    """The calendar of a market that never closes. Its sessions are UTC days, without gaps."""

    known_until: date | None = None

    def list_days(self, start: date, end: date) -> list[Day]:
        """See `Calendar`."""
        dates = (start + number * ONE_DAY for number in range((end - start).days + 1))
        return [Day(day, DayKind.REGULAR, self.list_sessions(day), "", "computed") for day in dates]

    def list_sessions(self, day: date) -> tuple[TradingSession, ...]:
        """See `Calendar`."""
        if day == date.max:
            raise SessionsUnknown(MarketIdentifier.CRYPTO, date.min, date.max - ONE_DAY)
        start = datetime.combine(day, time.min, UTC)
        return (TradingSession(day, (Phase(PhaseName.CONTINUOUS, start, start + ONE_DAY),)),)

    def find_session(self, instant: datetime) -> TradingSession | None:
        """See `Calendar`."""
        return self.get_session_or_next(instant)

    def get_session_or_next(self, instant: datetime) -> TradingSession:
        """See `Calendar`."""
        return self.list_sessions(instant.astimezone(UTC).date())[0]

    def get_session_or_previous(self, instant: datetime) -> TradingSession:
        """See `Calendar`."""
        return self.get_session_or_next(instant)

    def get_next_open(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        return self.get_next_close(instant)

    def get_next_close(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        return self.get_session_or_next(instant).close

    def get_previous_close(self, instant: datetime) -> datetime:
        """See `Calendar`."""
        return self.get_session_or_next(instant).open
