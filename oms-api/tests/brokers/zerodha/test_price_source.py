"""The price source receives ticks of the stand-in in its own thread."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.connections import ConnectionTerms
from app.brokers.zerodha.price_source import KiteSource
from app.clock import EPOCH
from app.market_data.rules.bars import Interval
from tests.brokers.standins.kite.server import ACCESS_TOKEN, API_KEY, API_SECRET
from tests.support.conditions import wait_until

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def build_terms(kite, token=ACCESS_TOKEN):
    credentials = {"api_key": API_KEY, "api_secret": API_SECRET, "access_token": token}
    return ConnectionTerms("zerodha", kite.url, False, None, credentials)


@pytest.fixture
def create_source():
    sources = []

    def create(find_terms):
        sources.append(KiteSource(find_terms))
        return sources[-1]

    yield create
    for source in sources:
        source.close()


def test_followed_symbols_have_the_price_of_the_socket(kite, create_source):
    source = create_source(lambda: build_terms(kite))
    assert source.get_last_heartbeat(NOW) == EPOCH
    assert source.get_bars("RELIANCE", Interval.MINUTE, NOW, NOW) is None
    source.follow(frozenset({"RELIANCE", "UNKNOWN"}))
    wait_until(lambda: source.get_quote("RELIANCE", NOW))
    wait_until(
        lambda: source.get_quote("RELIANCE", NOW).bid
    )  # the first tick, of the default mode, has no depth
    quote = source.get_quote("RELIANCE", NOW)
    assert (quote.bid, quote.ask, quote.source) == (99, 101, "zerodha")
    kite.exchange.quote("RELIANCE", "99.05", "99.10", ask_size="7")
    wait_until(lambda: source.get_quote("RELIANCE", NOW).ask == Decimal("99.10"))
    assert source.get_quote("RELIANCE", NOW).ask_size == 7
    heard_at = source.get_last_heartbeat(NOW)
    wait_until(lambda: source.get_last_heartbeat(NOW) > heard_at)  # heartbeats keep the prices fresh
    kite.exchange.quote("INFY", "1500", "1501")
    source.follow(frozenset({"INFY"}))
    wait_until(lambda: source.get_quote("INFY", NOW))
    assert source.get_quote("RELIANCE", NOW) is None


def test_socket_is_opened_again_after_a_cut_and_needs_a_session(kite, create_source):
    tokens: list[str | None] = [None]
    source = create_source(lambda: build_terms(kite, tokens[0]) if tokens else None)
    source.follow(frozenset({"RELIANCE"}))
    wait_until(lambda: source._stream.last_error)
    assert "today's login" in source._stream.last_error
    tokens[0] = ACCESS_TOKEN
    wait_until(lambda: source.get_quote("RELIANCE", NOW))
    kite.ticker.cut()
    wait_until(lambda: source._stream.connections == 2)
    kite.exchange.quote("RELIANCE", "98", "99")
    wait_until(lambda: source.get_quote("RELIANCE", NOW).ask == 99)
