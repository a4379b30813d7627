"""The market of an instrument, and when intraday positions of its segment are closed."""

from datetime import UTC, date, datetime, timedelta
from importlib import resources

import pytest

from app.calendars.rules.market_lookup import find_calendar_key
from app.calendars.rules.square_off import find_square_off
from app.calendars.rules.tables import parse_square_off_rules
from app.calendars.rules.values import CalendarKey, MarketIdentifier, MarketSegment
from app.calendars.service import Calendars

CALENDARS = Calendars.load()
RULES = parse_square_off_rules(
    resources.files("app.calendars").joinpath("data", "square_off.csv").read_text("utf-8")
)
NSE_SHARES = CalendarKey(MarketIdentifier.XNSE)


@pytest.mark.parametrize(
    ("exchange", "asset_class", "key"),
    [
        ("NASDAQ", "equity", CalendarKey(MarketIdentifier.XNYS)),
        ("NYSE", "option", CalendarKey(MarketIdentifier.XNYS)),
        ("NSE", "equity", NSE_SHARES),
        ("NSE", "future", CalendarKey(MarketIdentifier.XNSE, MarketSegment.EQUITY_DERIVATIVES)),
        ("BSE", "option", CalendarKey(MarketIdentifier.XBOM, MarketSegment.EQUITY_DERIVATIVES)),
        ("COINBASE", "crypto", CalendarKey(MarketIdentifier.CRYPTO)),
        ("LSE", "equity", None),
        ("", "equity", None),
    ],
)
def test_instrument_has_the_calendar_of_its_market(exchange, asset_class, key):
    assert find_calendar_key(exchange, asset_class) == key
    if key is not None:
        assert CALENDARS.find_calendar(exchange, asset_class) is CALENDARS.get_calendar(*key)


def test_only_new_york_has_extended_hours():
    assert CALENDARS.find_extended_calendar("NASDAQ", "equity") is not None
    assert CALENDARS.find_extended_calendar("NSE", "equity") is None
    assert CALENDARS.find_extended_calendar("", "equity") is None


@pytest.mark.parametrize(
    ("exchange", "instant", "is_open"),
    [
        ("NYSE", "2026-11-20T12:00Z", True),  # extended hours
        ("NYSE", "2026-11-22T15:00Z", False),
        ("NYSE", "2028-01-03T15:00Z", False),
        ("NSE", "2026-11-20T12:00Z", False),
        ("LSE", "2026-11-22T15:00Z", True),
    ],
)
def test_instrument_may_trade_in_extended_hours_or_an_unknown_market(exchange, instant, is_open):
    assert CALENDARS.may_be_open(exchange, "equity", datetime.fromisoformat(instant)) is is_open


@pytest.mark.parametrize(
    ("segment", "day", "local"),
    [
        (MarketSegment.SHARES, "2026-11-20", "15:20"),
        (MarketSegment.EQUITY_DERIVATIVES, "2026-07-31", "15:25"),
        (MarketSegment.EQUITY_DERIVATIVES, "2026-08-03", "15:35"),
        (MarketSegment.SHARES_WITH_DERIVATIVES, "2026-07-31", "15:20"),
        (MarketSegment.SHARES_WITH_DERIVATIVES, "2026-08-03", "15:10"),
        (MarketSegment.SHARES, "2025-10-21", "14:35"),  # Muhurat
    ],
)
def test_intraday_positions_are_closed_before_continuous_trading_ends(segment, day, local):
    key = CalendarKey(MarketIdentifier.XNSE, segment)
    (session,) = CALENDARS.get_calendar(*key).list_sessions(date.fromisoformat(day))
    expected = datetime.fromisoformat(f"{day}T{local}:00+05:30")
    assert find_square_off(key, session, RULES) == expected


def test_new_york_has_no_square_off_and_a_short_session_squares_off_at_its_open():
    (session,) = CALENDARS.get_calendar(MarketIdentifier.XNYS).list_sessions(date(2026, 11, 20))
    assert find_square_off(CalendarKey(MarketIdentifier.XNYS), session, RULES) is None
    (phase,) = session.phases
    short = session._replace(phases=(phase._replace(close=phase.open + timedelta(minutes=3)),))
    assert find_square_off(NSE_SHARES, short, RULES) == short.open
    assert short.open.tzinfo is UTC


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-11-20T15:19:59+05:30", "2026-11-19T15:20+05:30"),
        ("2026-11-20T15:20+05:30", "2026-11-20T15:20+05:30"),
        ("2026-11-22T12:00+05:30", "2026-11-20T15:20+05:30"),
        ("2026-11-08T19:00+05:30", None),  # the hours of that date are not known
        ("2024-01-01T10:00+05:30", None),  # the first session of the table
    ],
)
def test_last_square_off_is_of_today_or_an_earlier_session(instant, expected):
    last_square_off = CALENDARS.find_last_square_off("NSE", "equity", datetime.fromisoformat(instant))
    assert last_square_off == (expected and datetime.fromisoformat(expected))


def test_market_square_off_is_the_latest_of_its_segments_or_none():
    instant = datetime.fromisoformat("2026-11-20T15:36+05:30")
    assert CALENDARS.find_last_square_off("NYSE", "equity", instant) is None
    assert CALENDARS.find_last_square_off("", "equity", instant) is None
    assert CALENDARS.find_latest_square_off(instant) == datetime.fromisoformat("2026-11-20T15:35+05:30")


def test_every_rule_names_its_source():
    assert all(rule.source for rule in RULES)
