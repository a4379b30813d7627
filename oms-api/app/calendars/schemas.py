"""Request and response bodies of calendars and clocks."""

import re
from datetime import date, time
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.calendars.rules.overrides import CalendarOverride, LocalHours, find_hours_error
from app.calendars.rules.values import (
    Day,
    DayKind,
    MarketClock,
    MarketIdentifier,
    MarketSegment,
    Phase,
    PhaseName,
    TradingSession,
)
from app.http.fields import clean, to_lower_case, to_upper_case
from app.http.request_models import FrozenRequestModel, RequestModel
from app.timestamps import format_optional_timestamp, format_timestamp

MAX_CALENDAR_DAYS = 366
_TIME = re.compile(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def _parse_date(value: object) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise PydanticCustomError("date", "Must be a date such as 2026-11-27.")


LocalDate = Annotated[date, BeforeValidator(_parse_date)]
MarketCode = Annotated[MarketIdentifier, BeforeValidator(to_upper_case)]
SegmentName = Annotated[MarketSegment, BeforeValidator(to_lower_case)]


def _parse_time(value: object) -> time:
    if isinstance(value, str) and _TIME.fullmatch(value):
        return time.fromisoformat(value)
    raise PydanticCustomError("time", "Must be a local time such as 09:15.")


LocalTime = Annotated[
    time, BeforeValidator(_parse_time), WithJsonSchema({"type": "string", "pattern": _TIME.pattern})
]


class HoursIn(FrozenRequestModel):
    """A session, `[open, close)`, in the market's time zone."""

    open: LocalTime = Field(description="Local time of the open", examples=["09:15"])
    close: LocalTime = Field(description="Local time of the close", examples=["15:30"])


class CalendarDayIn(FrozenRequestModel):
    """The sessions of a market on a date."""

    kind: Annotated[DayKind, BeforeValidator(to_lower_case)] = Field(
        description="`half_day` and `special` need sessions; `regular` has the regular hours of each segment",
        examples=["half_day"],
    )
    sessions: tuple[HoursIn, ...] = Field((), max_length=5, description="In time order, of every segment")
    name: Annotated[str, AfterValidator(clean), Field(max_length=100)] = Field(
        "", description="Name of the date", examples=["Day after Thanksgiving"]
    )
    source: Annotated[str, AfterValidator(clean), Field(min_length=1, max_length=500)] = Field(
        description="Source of the hours, such as a circular", examples=["NYSE release of 2026-11-20"]
    )

    @model_validator(mode="after")
    def _has_fitting_hours(self) -> "CalendarDayIn":
        error = find_hours_error(self.kind, self.to_hours())
        if error is not None:
            raise PydanticCustomError("sessions", "{message}", {"field": "sessions", "message": error})
        return self

    def to_hours(self) -> tuple[LocalHours, ...]:
        """Return the sessions."""
        return tuple(LocalHours(hours_in.open, hours_in.close) for hours_in in self.sessions)

    def override(self, market: MarketIdentifier, day: date) -> CalendarOverride:
        """Return the override of the calendar on that day."""
        return CalendarOverride(market, day, self.kind, self.to_hours(), self.name, self.source)


class ClockQuery(RequestModel):
    """A market and segment."""

    market: MarketCode = Field(description="ISO 10383 code of the market, or CRYPTO", examples=["XNYS"])
    segment: SegmentName = Field(
        MarketSegment.SHARES, description="XNSE and XBOM have three segments, other markets only `shares`"
    )


class CalendarQuery(ClockQuery):
    """A market and a range of dates."""

    since: LocalDate = Field(
        alias="from", description="First date, in the market's time zone", examples=["2026-11-23"]
    )
    until: LocalDate = Field(
        alias="to", description="Last date, at most 366 dates in all", examples=["2026-11-27"]
    )

    @model_validator(mode="after")
    def _is_in_order_and_bounded(self) -> "CalendarQuery":
        if self.until < self.since:
            raise PydanticCustomError("range", "`to` must not be before `from`.", {"field": "to"})
        if (self.until - self.since).days >= MAX_CALENDAR_DAYS:
            message = "Must be at most {days} dates after `from`."
            raise PydanticCustomError("range", message, {"field": "to", "days": MAX_CALENDAR_DAYS})
        return self


class PhaseOut(BaseModel):
    """A part of a session, `[open, close)`."""

    name: PhaseName
    open: str = Field(examples=["2026-11-27T14:30:00.000000Z"])
    close: str = Field(examples=["2026-11-27T18:00:00.000000Z"])


class SessionOut(BaseModel):
    """A session, `[open, close)`. Its phases are contiguous."""

    open: str = Field(examples=["2026-11-27T14:30:00.000000Z"])
    close: str = Field(examples=["2026-11-27T18:00:00.000000Z"])
    phases: list[PhaseOut]


class DayOut(BaseModel):
    """A date with its sessions. A holiday has none.

    A date of the kind `unknown` has a session, but its hours are not known.
    """

    date: str = Field(description="Date in the market's time zone", examples=["2026-11-27"])
    kind: DayKind = Field(examples=["half_day"])
    name: str = Field(
        description="Name of the day; empty on regular days", examples=["Day after Thanksgiving"]
    )
    sessions: list[SessionOut]
    source: str = Field(description="Source of the hours, and which of them are unverified")


class ClockOut(BaseModel):
    """The state of a market now. `null` means unknown."""

    market: MarketIdentifier
    segment: MarketSegment
    timestamp: str = Field(examples=["2026-11-27T15:04:05.123456Z"])
    is_open: bool | None = Field(
        description="Whether the market is open; null: the sessions of this date are not known"
    )
    phase: PhaseName | None = Field(
        description="Phase of the session; null: unknown, or the market is closed"
    )
    next_open: str | None = Field(examples=["2026-11-30T14:30:00.000000Z"])
    next_close: str | None = Field(examples=["2026-11-27T18:00:00.000000Z"])
    known_until: str | None = Field(
        description="Last date whose sessions are known; null: all dates are", examples=["2027-12-31"]
    )


def serialize_day(day: Day) -> dict[str, Any]:
    """Serialize the day as `DayOut`."""
    return {
        "date": day.date.isoformat(),
        "kind": day.kind,
        "name": day.name,
        "sessions": list(map(_serialize_session, day.sessions)),
        "source": day.source,
    }


def serialize_clock(market: MarketIdentifier, segment: MarketSegment, clock: MarketClock) -> dict[str, Any]:
    """Serialize the clock as `ClockOut`."""
    return {
        "market": market,
        "segment": segment,
        "timestamp": format_timestamp(clock.timestamp),
        "is_open": clock.is_open,
        "phase": clock.phase,
        "next_open": format_optional_timestamp(clock.next_open),
        "next_close": format_optional_timestamp(clock.next_close),
        "known_until": None if clock.known_until is None else clock.known_until.isoformat(),
    }


def _serialize_session(session: TradingSession) -> dict[str, Any]:
    return {
        "open": format_timestamp(session.open),
        "close": format_timestamp(session.close),
        "phases": list(map(_serialize_phase, session.phases)),
    }


def _serialize_phase(phase: Phase) -> dict[str, Any]:
    return {"name": phase.name, "open": format_timestamp(phase.open), "close": format_timestamp(phase.close)}
