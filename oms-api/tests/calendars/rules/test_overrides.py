"""Dates that the operator sets: they replace the table, and extend it without a guess."""

from datetime import date, time

import pytest

from app.calendars.rules.overrides import (
    CalendarOverride,
    LocalHours,
    MarketTable,
    apply_overrides,
    find_hours_error,
)
from app.calendars.rules.schedules import build_days
from app.calendars.rules.tables import parse_hours
from app.calendars.rules.values import DayKind, ExceptionalDay, MarketIdentifier, MarketSegment, MarketTerms

# The table ends on Thursday, 2026-12-31; Friday is a holiday in it that the operator may override.
TERMS = MarketTerms(MarketIdentifier.XNSE, "Asia/Kolkata", date(2026, 12, 28), date(2026, 12, 31))
NEW_YEAR = ExceptionalDay(date(2026, 12, 30), DayKind.HOLIDAY, None, None, "Holiday", "table")
HOURS = parse_hours(
    "market,segment,phase,valid_from,open,close,source\nXNSE,shares,continuous,2024-01-01,09:15,15:30,usual"
)
EVENING = (LocalHours(time(18), time(19)),)


def build_override(day, kind=DayKind.REGULAR, sessions=(), market=MarketIdentifier.XNSE):
    return CalendarOverride(market, date.fromisoformat(day), kind, sessions, "Set", "operator")


def list_days(*overrides):
    terms, rows = apply_overrides(MarketTable(TERMS, [NEW_YEAR]), overrides)
    return terms.known_until.isoformat(), [
        (day.date.isoformat()[5:], day.kind.value, len(day.sessions), day.source)
        for day in build_days(terms, MarketSegment.SHARES, HOURS, rows)
    ]


def test_table_without_overrides_is_unchanged():
    known_until, days = list_days(build_override("2027-06-01", market=MarketIdentifier.XNYS))
    assert known_until == "2026-12-31"
    assert days[2] == ("12-30", "holiday", 0, "table")


def test_override_replaces_the_row_of_its_date():
    _, days = list_days(
        build_override("2026-12-30"), build_override("2026-12-31", DayKind.SPECIAL, EVENING * 1)
    )
    assert days[2:] == [("12-30", "regular", 1, "operator"), ("12-31", "special", 1, "operator")]


def test_overrides_extend_the_table_and_other_later_dates_are_unknown():
    known_until, days = list_days(
        build_override("2027-01-05"), build_override("2027-01-02"), build_override("2027-01-06")
    )
    assert known_until == "2027-01-06"
    assert days[4:] == [
        ("01-01", "unknown", 0, "past the table; not set by the operator"),
        ("01-02", "regular", 1, "operator"),  # a Saturday, which the operator made a day of trading
        ("01-04", "unknown", 0, "past the table; not set by the operator"),
        ("01-05", "regular", 1, "operator"),
        ("01-06", "regular", 1, "operator"),
    ]


def test_override_may_have_two_sessions_or_none():
    drill = (LocalHours(time(9, 15), time(10)), LocalHours(time(11, 30), time(12, 30)))
    _, days = list_days(
        build_override("2026-12-28", DayKind.SPECIAL, drill),
        build_override("2026-12-29", DayKind.HOLIDAY),
        build_override("2026-12-31", DayKind.UNKNOWN),
    )
    assert [(kind, sessions) for _, kind, sessions, _ in days] == [
        ("special", 2),
        ("holiday", 0),
        ("holiday", 0),
        ("unknown", 0),
    ]


@pytest.mark.parametrize(
    ("kind", "sessions", "is_right"),
    [
        ("special", EVENING, True),
        ("half_day", EVENING, True),
        ("special", (), False),
        ("holiday", (), True),
        ("holiday", EVENING, False),
        ("regular", EVENING, False),
        ("special", (LocalHours(time(19), time(18)),), False),
        ("special", (LocalHours(time(18), time(18)),), False),
        ("special", EVENING + EVENING, False),
    ],
)
def test_override_sessions_must_fit_the_kind_and_not_overlap(kind, sessions, is_right):
    assert (find_hours_error(DayKind(kind), sessions) is None) is is_right
