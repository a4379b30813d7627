"""The price source reads quotes and bars of the stand-in in its own thread."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.clock import EPOCH
from app.market_data.rules.bars import Interval
from app.market_data.sources import AlpacaAccess
from app.market_data.sources.alpaca import AlpacaSource
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY
from tests.support.conditions import wait_until

START = datetime(2026, 11, 27, 15, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def source(alpaca, monkeypatch):
    monkeypatch.setattr("app.market_data.sources.alpaca.READ_SECONDS", 0.05)
    source = AlpacaSource(AlpacaAccess(alpaca.url, "iex", KEY_ID, SECRET_KEY))
    yield source
    source.close()


def test_quotes_of_followed_symbols_are_current(alpaca, source):
    alpaca.exchange.quote("BTC/USD", "64000", "64010.5")
    assert source.get_quote("AAPL", START) is None
    assert source.get_last_heartbeat(START) == EPOCH
    source.follow(frozenset({"AAPL", "BTC/USD"}))
    wait_until(lambda: source.get_quote("BTC/USD", START))
    assert source.get_quote("BTC/USD", START).ask == Decimal("64010.5")
    assert source.get_last_heartbeat(START) > EPOCH
    alpaca.exchange.quote("AAPL", "100", "102")
    wait_until(lambda: source.get_quote("AAPL", START).bid == 100)


def test_failure_of_alpaca_makes_quotes_stale_and_ends(alpaca, source):
    source.follow(frozenset({"AAPL"}))
    wait_until(lambda: source.get_quote("AAPL", START))
    alpaca.faults.add("status", path="/v2/stocks", times=2)
    alpaca.exchange.quote("AAPL", "100", "102")
    wait_until(lambda: source.get_quote("AAPL", START).bid == 100)


def test_bars_are_read_after_a_request(alpaca, source):
    for number in range(3):
        start = (START + number * MINUTE).isoformat().replace("+00:00", "Z")
        alpaca.market_data.add_bar("AAPL", "1Min", start, f"99/101/98/{100 + number}", "10")
    key = ("AAPL", Interval.MINUTE, START, START + 2 * MINUTE)
    assert source.get_bars(*key) is None
    wait_until(lambda: source.get_bars(*key))
    assert [bar.close for bar in source.get_bars(*key)] == [100, 101]
    assert source.get_bars("AAPL", Interval.MINUTE, START - MINUTE, START) is None  # reads more
