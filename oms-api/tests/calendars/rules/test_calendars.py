"""Sessions from the tables: daylight saving, special days, and the refusal of unknown dates."""

import contextlib
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.calendars.errors import SessionsUnknown
from app.calendars.rules.calendars import TableCalendar, find_phase, is_known_open, is_open
from app.calendars.rules.schedules import build_days
from app.calendars.rules.tables import parse_hours
from app.calendars.rules.values import MarketIdentifier, MarketSegment, MarketTerms, PhaseName
from app.calendars.service import Calendars

CALENDARS = Calendars.load()
XNYS = CALENDARS.get_calendar(MarketIdentifier.XNYS)
XNSE = CALENDARS.get_calendar(MarketIdentifier.XNSE)
CRYPTO = CALENDARS.get_calendar(MarketIdentifier.CRYPTO)
SHARES_WITH_DERIVATIVES = CALENDARS.get_calendar(MarketIdentifier.XNSE, MarketSegment.SHARES_WITH_DERIVATIVES)
EQUITY_DERIVATIVES = CALENDARS.get_calendar(MarketIdentifier.XNSE, MarketSegment.EQUITY_DERIVATIVES)
MICROSECOND = timedelta(microseconds=1)
EVERY = [
    *(CALENDARS.get_calendar(market) for market in MarketIdentifier),
    *(
        CALENDARS.get_calendar(market, MarketSegment.EQUITY_DERIVATIVES)
        for market in (MarketIdentifier.XNSE, MarketIdentifier.XBOM)
    ),
    SHARES_WITH_DERIVATIVES,
]
instants = st.datetimes(datetime(2023, 12, 1), datetime(2028, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001  # given one
dates = st.dates(date(2024, 1, 2), date(2026, 12, 31))
calendars = st.sampled_from(EVERY)


def parse_time(text):
    return datetime.fromisoformat(text).astimezone(UTC)


def list_hours(calendar, day):
    return [(session.open, session.close) for session in calendar.list_sessions(date.fromisoformat(day))]


@pytest.mark.parametrize(
    ("calendar", "day", "opens", "closes"),
    [
        (XNYS, "2026-11-25", "2026-11-25T14:30Z", "2026-11-25T21:00Z"),
        (XNYS, "2026-11-27", "2026-11-27T14:30Z", "2026-11-27T18:00Z"),
        # Daylight saving begins on 2026-03-08 and ends on 2026-11-01.
        (XNYS, "2026-03-06", "2026-03-06T14:30Z", "2026-03-06T21:00Z"),
        (XNYS, "2026-03-09", "2026-03-09T13:30Z", "2026-03-09T20:00Z"),
        (XNYS, "2026-10-30", "2026-10-30T13:30Z", "2026-10-30T20:00Z"),
        (XNYS, "2026-11-02", "2026-11-02T14:30Z", "2026-11-02T21:00Z"),
        (XNSE, "2026-11-25", "2026-11-25T03:45Z", "2026-11-25T10:00Z"),
        (XNSE, "2024-01-20", "2024-01-20T03:45Z", "2024-01-20T10:00Z"),
        (XNSE, "2025-02-01", "2025-02-01T03:45Z", "2025-02-01T10:00Z"),
        (XNSE, "2026-02-01", "2026-02-01T03:45Z", "2026-02-01T10:00Z"),
        (XNSE, "2024-11-01", "2024-11-01T12:30Z", "2024-11-01T13:30Z"),
        (XNSE, "2025-10-21", "2025-10-21T08:15Z", "2025-10-21T09:15Z"),
        (EQUITY_DERIVATIVES, "2026-07-31", "2026-07-31T03:45Z", "2026-07-31T10:00Z"),
        (EQUITY_DERIVATIVES, "2026-08-03", "2026-08-03T03:45Z", "2026-08-03T10:10Z"),
        (SHARES_WITH_DERIVATIVES, "2026-08-03", "2026-08-03T03:45Z", "2026-08-03T10:05Z"),
        (XNSE, "2026-08-03", "2026-08-03T03:45Z", "2026-08-03T10:00Z"),
        (CRYPTO, "2026-08-02", "2026-08-02T00:00Z", "2026-08-03T00:00Z"),
    ],
)
def test_date_has_its_session(calendar, day, opens, closes):
    assert list_hours(calendar, day) == [(parse_time(opens), parse_time(closes))]


@pytest.mark.parametrize("day", ["2024-03-02", "2024-05-18"])
def test_date_may_have_two_sessions(day):
    first, second = list_hours(XNSE, day)
    assert (first[1] - first[0], second[0] - first[1], second[1] - second[0]) == (
        timedelta(minutes=45),
        timedelta(minutes=90),
        timedelta(minutes=60),
    )
    assert not is_open(XNSE, first[1])
    assert XNSE.get_next_open(first[0]) == second[0]


@pytest.mark.parametrize(
    ("calendar", "day"),
    [
        (XNYS, "2025-01-09"),
        (XNYS, "2027-12-24"),
        (XNSE, "2026-01-15"),
        (XNYS, "2026-11-28"),
        (XNYS, "2024-01-01"),
    ],
)
def test_holidays_and_weekends_have_no_session(calendar, day):
    assert list_hours(calendar, day) == []


def test_last_known_date_may_be_a_weekend():
    terms = MarketTerms(MarketIdentifier.XNYS, "America/New_York", date(2026, 11, 27), date(2026, 11, 28))
    rows = parse_hours(
        "market,segment,phase,valid_from,open,close,source\nXNYS,shares,continuous,2024-01-01,09:30,16:00,x"
    )
    calendar = TableCalendar(terms, build_days(terms, MarketSegment.SHARES, rows, []))
    assert calendar.list_sessions(date(2026, 11, 28)) == ()
    assert calendar.find_session(parse_time("2026-11-27T06:00Z")) is None


def test_session_includes_its_open_and_excludes_its_close():
    opens, closes = parse_time("2026-11-27T14:30Z"), parse_time("2026-11-27T18:00Z")
    assert not is_open(XNYS, opens - MICROSECOND)
    assert is_open(XNYS, opens)
    assert is_open(XNYS, closes - MICROSECOND)
    assert not is_open(XNYS, closes)
    assert XNYS.get_next_close(closes - MICROSECOND) == closes == XNYS.get_previous_close(closes)
    assert XNYS.get_next_open(opens) == parse_time("2026-11-30T14:30Z")
    assert XNYS.get_next_close(closes) == parse_time("2026-11-30T21:00Z")


def test_instants_may_be_given_in_any_time_zone():
    tokyo = timezone(timedelta(hours=9))
    assert is_open(XNYS, datetime(2026, 11, 27, 23, 30, tzinfo=tokyo))
    assert CRYPTO.get_previous_close(datetime(2026, 11, 28, 3, tzinfo=tokyo)) == parse_time(
        "2026-11-27T00:00Z"
    )


@pytest.mark.parametrize(
    ("instant", "name"),
    [
        ("2026-08-03T15:14:59+05:30", PhaseName.CONTINUOUS),
        ("2026-08-03T15:15:00+05:30", PhaseName.CLOSING_AUCTION),
        ("2026-08-03T15:34:59+05:30", PhaseName.CLOSING_AUCTION),
        ("2026-08-03T15:35:00+05:30", None),
        ("2026-07-31T15:29:59+05:30", PhaseName.CONTINUOUS),
    ],
)
def test_shares_with_derivatives_end_with_a_closing_auction_since_august_2026(instant, name):
    phase = find_phase(SHARES_WITH_DERIVATIVES, parse_time(instant))
    assert (None if phase is None else phase.name) is name


@pytest.mark.parametrize(
    "ask",
    [
        lambda: XNYS.list_sessions(date(2028, 1, 3)),
        lambda: XNYS.list_sessions(date(2023, 12, 29)),
        lambda: XNYS.find_session(parse_time("2028-01-03T15:00Z")),
        lambda: XNYS.find_session(parse_time("2023-12-29T15:00Z")),
        lambda: XNYS.get_next_open(parse_time("2027-12-31T15:00Z")),
        lambda: XNYS.get_next_close(parse_time("2027-12-31T21:00Z")),
        lambda: XNYS.get_next_open(parse_time("2023-12-29T15:00Z")),
        lambda: XNYS.get_previous_close(parse_time("2024-01-02T15:00Z")),
        lambda: XNYS.get_previous_close(parse_time("2028-01-03T15:00Z")),
        lambda: XNYS.list_days(date(2023, 12, 31), date(2024, 1, 2)),
        lambda: XNYS.list_days(date(2027, 12, 31), date(2028, 1, 1)),
        # There was a session on Sunday, 2026-11-08, whose hours the tables do not have.
        lambda: XNSE.list_sessions(date(2026, 11, 8)),
        lambda: XNSE.find_session(parse_time("2026-11-08T12:30Z")),
        lambda: XNSE.get_next_open(parse_time("2026-11-07T12:30Z")),
        lambda: XNSE.get_previous_close(parse_time("2026-11-09T02:00Z")),
        lambda: CRYPTO.list_sessions(date.max),
        lambda: XNYS.get_session_or_next(parse_time("2027-12-31T21:00Z")),
        lambda: XNYS.get_session_or_previous(parse_time("2024-01-02T14:29Z")),
    ],
)
def test_unknown_date_is_rejected(ask):
    with pytest.raises(SessionsUnknown):
        ask()


def test_answer_that_needs_no_unknown_date_is_returned():
    assert XNYS.get_next_close(parse_time("2027-12-31T15:00Z")) == parse_time("2027-12-31T21:00Z")
    assert XNSE.get_previous_close(parse_time("2026-11-07T12:30Z")) == parse_time("2026-11-06T10:00Z")
    assert XNSE.get_next_open(parse_time("2026-11-08T18:30Z")) == parse_time("2026-11-09T03:45Z")
    assert XNYS.get_session_or_next(parse_time("2027-12-31T15:00Z")) == XNYS.get_session_or_previous(
        parse_time("2027-12-31T21:00Z")
    )
    assert not is_known_open(XNYS, parse_time("2028-01-03T15:00Z"))
    assert XNYS.known_until == date(2027, 12, 31)
    assert CRYPTO.known_until is None


def test_days_are_listed_with_holidays_and_unknown_hours():
    days = XNSE.list_days(date(2026, 11, 6), date(2026, 11, 10))
    assert [(day.date.day, day.kind.value, len(day.sessions)) for day in days] == [
        (6, "regular", 1),
        (8, "unknown", 0),
        (9, "regular", 1),
        (10, "holiday", 0),
    ]
    assert len(CRYPTO.list_days(date(2026, 11, 1), date(2026, 11, 30))) == 30


def test_yearly_session_count_matches_the_exchange():
    def sessions(year):
        return sum(len(day.sessions) for day in XNYS.list_days(date(year, 1, 1), date(year, 12, 31)))

    assert [sessions(year) for year in (2024, 2025, 2026)] == [252, 250, 251]


@given(calendars, dates, st.integers(1, 40))
def test_sessions_are_ordered_and_disjoint(calendar, start, length):
    days = calendar.list_days(start, min(start + timedelta(days=length), date(2026, 12, 31)))
    sessions = [session for day in days for session in day.sessions]
    for session in sessions:
        assert session.open < session.close
        for earlier, later in pairwise(session.phases):
            assert earlier.open < earlier.close == later.open
    for earlier, later in pairwise(sessions):
        assert earlier.close <= later.open


@given(calendars, instants)
def test_next_open_and_close_are_later_and_previous_close_is_not(calendar, instant):
    for ask in (calendar.get_next_open, calendar.get_next_close):
        with contextlib.suppress(SessionsUnknown):
            assert ask(instant) > instant
    with contextlib.suppress(SessionsUnknown):
        assert calendar.get_previous_close(instant) <= instant


@given(calendars, dates, st.integers(0, 86_400))
def test_answers_agree_with_the_list_of_sessions(calendar, day, seconds):
    instant = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=seconds)
    start, end = (
        max(day - timedelta(days=9), date(2024, 1, 1)),
        min(day + timedelta(days=9), date(2026, 12, 31)),
    )
    sessions = [session for listed in calendar.list_days(start, end) for session in listed.sessions]
    naive = [session for session in sessions if session.open <= instant < session.close]
    opens, closes = [session.open for session in sessions], [session.close for session in sessions]
    try:
        assert is_open(calendar, instant) is bool(naive)
        assert calendar.get_next_open(instant) == min(open_ for open_ in opens if open_ > instant)
        assert calendar.get_next_close(instant) == min(close for close in closes if close > instant)
        assert calendar.get_previous_close(instant) == max(close for close in closes if close <= instant)
        assert calendar.get_session_or_next(instant) == sessions[bisect_right(closes, instant)]
        assert calendar.get_session_or_previous(instant) == sessions[bisect_right(opens, instant) - 1]
        assert is_known_open(calendar, instant) is bool(naive)
    except SessionsUnknown:
        near = {day + timedelta(days=n) for n in range(-5, 6)}
        assert near & {date(2026, 11, 8)} or day < date(2024, 1, 6) or day > date(2026, 12, 26)
