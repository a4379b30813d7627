"""Markets, segments, sessions and their phases."""

from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple


class MarketIdentifier(StrEnum):
    """A market by its ISO 10383 code. CRYPTO trades around the clock."""

    XNYS = "XNYS"
    XNSE = "XNSE"
    XBOM = "XBOM"
    CRYPTO = "CRYPTO"


class MarketSegment(StrEnum):
    """A part of a market with its own hours."""

    SHARES = "shares"
    SHARES_WITH_DERIVATIVES = "shares_with_derivatives"
    EQUITY_DERIVATIVES = "equity_derivatives"
    EXTENDED_HOURS = "extended_hours"  # before, during and after the regular session


class CalendarKey(NamedTuple):
    """A segment of a market."""

    market: MarketIdentifier
    segment: MarketSegment = MarketSegment.SHARES


class PhaseName(StrEnum):
    """The way in which orders are matched during a part of a session."""

    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing_auction"


class DayKind(StrEnum):
    """The kind of a date. An UNKNOWN date has a session whose hours are not known."""

    REGULAR = "regular"
    HALF_DAY = "half_day"
    SPECIAL = "special"
    HOLIDAY = "holiday"
    UNKNOWN = "unknown"


class Phase(NamedTuple):
    """A part of a session, [open, close), in UTC."""

    name: PhaseName
    open: datetime
    close: datetime


class TradingSession(NamedTuple):
    """A session of a local date. Its phases are contiguous."""

    date: date
    phases: tuple[Phase, ...]

    @property
    def open(self) -> datetime:
        """The first instant of the session."""
        return self.phases[0].open

    @property
    def close(self) -> datetime:
        """The first instant after the session."""
        return self.phases[-1].close


class Day(NamedTuple):
    """A local date with sessions, a holiday, or a date with unknown hours."""

    date: date
    kind: DayKind
    sessions: tuple[TradingSession, ...]
    name: str
    source: str


class MarketTerms(NamedTuple):
    """The time zone of a market, and the first and last date of its table."""

    market: MarketIdentifier
    time_zone: str
    known_from: date
    known_until: date


class RegularHours(NamedTuple):
    """A phase of every regular session from a date on, in local time."""

    market: MarketIdentifier
    segment: MarketSegment
    phase: PhaseName
    valid_from: date
    open: time
    close: time
    source: str


class SquareOffRule(NamedTuple):
    """The time before the end of continuous trading when intraday positions are closed, from a date on."""

    market: MarketIdentifier
    segment: MarketSegment
    valid_from: date
    minutes_before_close: int
    source: str


class ExceptionalDay(NamedTuple):
    """A row of a market's table: a date that differs from the regular week, in local time.

    A date with several sessions has several rows. Holidays and unknown hours have no times.
    """

    date: date
    kind: DayKind
    open: time | None
    close: time | None
    name: str
    source: str


class MarketClock(NamedTuple):
    """The state of a market at an instant. None means that it is not known.

    `phase` is also None while the market is closed, and `known_until` if every date is known.
    """

    timestamp: datetime
    is_open: bool | None
    phase: PhaseName | None
    next_open: datetime | None
    next_close: datetime | None
    known_until: date | None
