"""Calendars and clocks over REST."""

from datetime import date, datetime

import pytest

from app.calendars.errors import UnknownSegment
from app.calendars.rules.values import MarketIdentifier, MarketSegment
from app.calendars.service import Calendars
from app.clock import utc_now

pytestmark = pytest.mark.any_database


def list_refused_fields(response):
    assert response.status_code == 422, response.text
    return [error["field"] for error in response.json()["errors"]]


def test_week_lists_its_sessions_and_holiday(api):
    days = api.get("/calendar", market="XNYS", from_="2026-11-25", to="2026-11-29").json()
    assert [(day["date"], day["kind"]) for day in days] == [
        ("2026-11-25", "regular"),
        ("2026-11-26", "holiday"),
        ("2026-11-27", "half_day"),
    ]
    opens, closes = "2026-11-27T14:30:00.000000Z", "2026-11-27T18:00:00.000000Z"
    phases = [{"name": "continuous", "open": opens, "close": closes}]
    assert days[2]["sessions"] == [{"open": opens, "close": closes, "phases": phases}]
    assert days[1]["sessions"] == []
    assert days[1]["name"] == "Thanksgiving Day"
    assert all(day["source"] for day in days)


def test_market_names_are_case_insensitive_and_segments_have_own_hours(api):
    query = {"market": "xnse", "segment": "Shares_With_Derivatives"}
    (day,) = api.get("/calendar", **query, from_="2026-08-03", to="2026-08-03").json()
    assert [(phase["name"], phase["open"][11:16]) for phase in day["sessions"][0]["phases"]] == [
        ("continuous", "03:45"),
        ("closing_auction", "09:45"),
    ]


def test_clock_shows_the_current_session_state(api):
    before = utc_now()
    clock = api.get("/clock", market="CRYPTO").json()
    assert clock["is_open"] is True
    assert clock["phase"] == "continuous"
    assert clock["known_until"] is None
    assert before <= datetime.fromisoformat(clock["timestamp"]) <= utc_now()
    assert clock["next_open"] == clock["next_close"] > clock["timestamp"]
    assert api.get("/clock", market="XNYS").json()["known_until"] == "2027-12-31"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"market": "XLON"}, "market"),
        ({}, "market"),
        ({"market": "XNYS", "segment": "bonds"}, "segment"),
        ({"market": "XNYS", "segment": "equity_derivatives"}, "segment"),
        ({"market": "CRYPTO", "segment": "shares_with_derivatives"}, "segment"),
        ({"market": "XNYS", "exchange": "NYSE"}, "exchange"),
    ],
)
@pytest.mark.parametrize("path", ["/calendar", "/clock"])
def test_unknown_market_or_segment_is_rejected_by_field(api, path, asked, field):
    dates = {"from_": "2026-11-25", "to": "2026-11-29"} if path == "/calendar" else {}
    assert list_refused_fields(api.get(path, **asked, **dates)) == [field]


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2027-12-31", "2028-01-01", "to"),
        ("2023-12-31", "2024-01-02", "from"),
        ("2026-11-29", "2026-11-28", "to"),
        ("2026-01-01", "2027-01-02", "to"),
        ("2026-02-29", "2026-03-01", "from"),
        ("20260101", "2026-03-01", "from"),
        ("2026-01-01", "1767225600", "to"),
    ],
)
def test_invalid_dates_are_rejected(api, start, end, field):
    assert list_refused_fields(api.get("/calendar", market="XNYS", from_=start, to=end)) == [field]


def test_dates_past_the_table_have_their_own_problem_type(api):
    response = api.get("/calendar", market="XNSE", from_="2026-12-31", to="2027-01-01")
    assert list_refused_fields(response) == ["to"]
    problem = response.json()
    assert problem["type"].endswith("/sessions-unknown")
    assert "known from 2024-01-01 to 2026-12-31" in problem["detail"]


def test_one_year_may_be_requested_at_once(api):
    response = api.get("/calendar", market="CRYPTO", from_="2024-01-01", to="2024-12-31")
    assert len(response.json()) == 366


def test_last_representable_dates_cause_no_server_error(api):
    for market in MarketIdentifier:
        response = api.get("/calendar", market=market, from_="9999-12-31", to="9999-12-31")
        assert response.status_code == 422, market
        assert api.get("/calendar", market=market, from_="0001-01-01", to="0001-01-02").status_code < 500


@pytest.mark.parametrize(
    ("market", "instant", "expected"),
    [
        ("XNYS", "2028-01-03T15:00Z", (None, None, None)),
        ("XNYS", "2027-12-31T21:00Z", (False, None, None)),
        ("XNSE", "2026-12-31T05:00Z", (True, None, "2026-12-31T10:00Z")),
        ("XNSE", "2026-11-08T05:00Z", (None, None, None)),
    ],
)
def test_clock_shows_unknown_values_as_unknown(market, instant, expected):
    clock = Calendars.load().read_clock(
        MarketIdentifier(market), MarketSegment.SHARES, datetime.fromisoformat(instant)
    )
    closes = None if expected[2] is None else datetime.fromisoformat(expected[2])
    assert (clock.is_open, clock.next_open, clock.next_close) == (*expected[:2], closes)
    assert clock.timestamp == datetime.fromisoformat(instant)


def test_calendars_are_found_by_market_and_segment():
    calendars = Calendars.load()
    assert calendars.get_calendar(MarketIdentifier.XNYS).known_until == date(2027, 12, 31)
    with pytest.raises(UnknownSegment):
        calendars.get_calendar(MarketIdentifier.XNYS, MarketSegment.EQUITY_DERIVATIVES)
