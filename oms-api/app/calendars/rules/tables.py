"""Parse the tables. An invalid table raises ValueError, since it is a defect of the release."""

import csv
from collections.abc import Iterator
from datetime import date, time

from app.calendars.rules.values import (
    DayKind,
    ExceptionalDay,
    MarketIdentifier,
    MarketSegment,
    MarketTerms,
    PhaseName,
    RegularHours,
    SquareOffRule,
)

_KINDS_WITHOUT_HOURS = {DayKind.HOLIDAY, DayKind.UNKNOWN}


def parse_markets(text: str) -> list[MarketTerms]:
    """Parse the terms of each market from markets.csv."""
    return [
        MarketTerms(
            MarketIdentifier(row["market"]),
            row["time_zone"],
            date.fromisoformat(row["known_from"]),
            date.fromisoformat(row["known_until"]),
        )
        for row in _read_rows(text)
    ]


def parse_hours(text: str) -> list[RegularHours]:
    """Parse the regular hours of all markets from hours.csv."""
    return [
        RegularHours(
            market=MarketIdentifier(row["market"]),
            segment=MarketSegment(row["segment"]),
            phase=PhaseName(row["phase"]),
            valid_from=date.fromisoformat(row["valid_from"]),
            open=time.fromisoformat(row["open"]),
            close=time.fromisoformat(row["close"]),
            source=row["source"],
        )
        for row in _read_rows(text)
    ]


def parse_square_off_rules(text: str) -> list[SquareOffRule]:
    """Parse the square-off times of all markets from square_off.csv."""
    return [
        SquareOffRule(
            MarketIdentifier(row["market"]),
            MarketSegment(row["segment"]),
            date.fromisoformat(row["valid_from"]),
            int(row["minutes_before_close"]),
            row["source"],
        )
        for row in _read_rows(text)
    ]


def parse_exceptional_days(text: str) -> list[ExceptionalDay]:
    """Parse the rows of a market's table, in time order.

    Raises ValueError for missing or superfluous times and for rows that are out of order.
    """
    days = [
        ExceptionalDay(
            date.fromisoformat(row["date"]),
            DayKind(row["kind"]),
            _parse_time(row["open"]),
            _parse_time(row["close"]),
            row["name"],
            row["source"],
        )
        for row in _read_rows(text)
    ]
    for day in days:
        has_hours = day.open is not None and day.close is not None and day.open < day.close
        if has_hours == (day.kind in _KINDS_WITHOUT_HOURS):
            raise ValueError(f"{day.date}: the times do not fit the kind {day.kind}")
    if days != sorted(days, key=lambda day: (day.date, day.open or time.min)):
        raise ValueError("the rows are not in the order of time")
    return days


def _read_rows(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(text.splitlines())


def _parse_time(text: str) -> time | None:
    return time.fromisoformat(text) if text else None
