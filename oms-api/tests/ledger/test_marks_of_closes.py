"""Outside its session, the mark of a position is the close: shown as such, and not stale."""

import pytest

from app.calendars.rules.values import MarketIdentifier as MarketCode
from app.calendars.service import Calendars
from app.market_data.service.session_closes import find_closed_session
from tests.support.clock import SetClock
from tests.support.service import run_service

FRIDAY, SATURDAY, MONDAY = "2026-11-20", "2026-11-21", "2026-11-23"


@pytest.fixture(scope="module")
def clock():
    return SetClock(f"{FRIDAY}T20:30")


@pytest.fixture(scope="module")
def timed_service(backend, new_database, clock):
    """Provide a service whose clock the tests set. Its prices are given by hand."""
    clock.set(f"{FRIDAY}T20:30")
    with run_service(new_database(backend), now=clock, price_source="manual") as service:
        yield service


def read_mark(api, symbol="AAPL"):
    (body,) = [item for item in api.get("/positions").json() if item["symbol"] == symbol]
    return body["mark"], body["mark_source"], body["mark_age_seconds"], body["mark_is_stale"]


def test_last_quote_of_a_session_is_the_close_until_the_next_open(timed_service, clock):
    api = timed_service.create_client()
    for symbol, exchange in (("AAPL", "NASDAQ"), ("ACME", "")):
        terms = {"exchange": exchange, "tick_size": "0.01", "lot_size": "1"}
        assert api.put(f"/instruments/{symbol}", terms).status_code == 200
        api.set_quote(symbol, "99", "101", "100")
        api.buy("1", "100", symbol=symbol)
    clock.set(f"{FRIDAY}T20:59")
    assert read_mark(api) == ("100.00", "quote", 1740.0, True)  # the session is open
    clock.set(f"{FRIDAY}T21:00:30")
    assert read_mark(api) == ("100.00", "close", 30.0, False)
    clock.set(f"{SATURDAY}T21:00")
    assert read_mark(api) == ("100.00", "close", 86_400.0, False)
    assert read_mark(api, "ACME")[1:] == ("quote", 88_200.0, True)  # its market is unknown
    api.set_quote("AAPL", "109", "111", "110")
    clock.set(f"{SATURDAY}T21:10")
    assert read_mark(api) == ("110.00", "quote", 600.0, True)  # it arrived after the close
    clock.set(f"{MONDAY}T15:00")
    assert read_mark(api)[1] == "quote"


def test_session_that_is_not_known_has_no_close(clock):
    calendar = Calendars.load().get_calendar(MarketCode.XNYS)
    clock.set("2099-01-01T00:00")
    assert find_closed_session(calendar, clock()) is None
