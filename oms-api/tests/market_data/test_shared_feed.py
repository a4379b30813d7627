"""One process reads a price feed for all, over a real Redis."""

import time
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from typing_extensions import override

from app.clock import EPOCH, utc_now
from app.market_data.rules.values import Quote
from app.market_data.sources import shared_feed
from app.market_data.sources.manual import ManualSource
from app.market_data.sources.shared_feed import SharedFeed
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.processes import run_process


class Feed(ManualSource):
    """A feed that quotes the followed symbols at the price that the test sets."""

    name = "feed"

    def __init__(self):
        self.followed: frozenset[str] = frozenset()
        self.heard_at = EPOCH
        self.quotes = {}

    @override
    def follow(self, symbols):
        self.followed = symbols

    @override
    def get_last_heartbeat(self, _at):
        return self.heard_at

    @override
    def get_quote(self, symbol, _at):
        return self.quotes.get(symbol) if symbol in self.followed else None

    def set_price(self, symbol, price):
        self.heard_at = utc_now()
        self.quotes[symbol] = Quote(symbol, None, None, Decimal(price), None, None, self.heard_at, self.name)


@pytest.fixture
def two_feeds(redis_server, monkeypatch):
    """Provide the feeds of two processes, each over a separate source."""
    monkeypatch.setattr(shared_feed, "LEASE_SECONDS", 60.0)
    monkeypatch.setattr(shared_feed, "RENEW_SECONDS", 0.1)
    with redis_server.client() as client:
        client.flushall()
    sources = [Feed(), Feed()]
    feeds = [SharedFeed(redis_server.url, source) for source in sources]
    yield list(zip(feeds, sources, strict=True))
    for feed in feeds:
        feed.close()


def follow_symbols(processes):
    """Let each process follow a separate symbol, and return owner and reader, each with its source."""
    (first, _), (second, _) = processes
    first.follow(frozenset({"AAPL"}))
    second.follow(frozenset({"MSFT"}))
    wait_until(lambda: first.is_connected and second.is_connected and first.is_owner != second.is_owner)
    return sorted(processes, key=lambda process: not process[0].is_owner)


def get_price(feed, symbol):
    quote = feed.get_quote(symbol, EPOCH)
    return None if quote is None else quote.last


def wait_for_price(feed, symbol, price):
    wait_until(lambda: get_price(feed, symbol) == price)


def test_one_process_reads_the_symbols_of_all(two_feeds):
    (owner, source), (reader, idle) = follow_symbols(two_feeds)
    wait_until(lambda: source.followed == {"AAPL", "MSFT"} and not idle.followed)
    for price in (100, 101):
        source.set_price("MSFT", price)
        wait_for_price(reader, "MSFT", price)
    assert reader.get_quote("MSFT", EPOCH) == source.quotes["MSFT"]  # with the time, which gives its age
    assert get_price(owner, "MSFT") == 101


def test_silent_feed_is_silent_in_each_process(two_feeds):
    (_, source), (reader, _) = follow_symbols(two_feeds)
    assert reader.get_last_heartbeat(EPOCH) == EPOCH
    source.heard_at = heard_at = utc_now() - timedelta(seconds=40)
    wait_until(lambda: reader.get_last_heartbeat(EPOCH) == heard_at)


def test_process_that_starts_has_the_last_quotes(two_feeds, redis_server):
    (_, source), (reader, _) = follow_symbols(two_feeds)
    wait_until(lambda: "AAPL" in source.followed)
    source.set_price("AAPL", 100)
    wait_for_price(reader, "AAPL", 100)
    late = SharedFeed(redis_server.url, Feed())
    try:
        late.follow(frozenset({"AAPL"}))
        wait_for_price(late, "AAPL", 100)
        assert late.get_last_heartbeat(EPOCH) == source.heard_at
        assert not late.is_owner
    finally:
        late.close()


def test_worker_that_follows_nothing_has_the_quotes_of_the_others(two_feeds):
    (first, source), (worker, idle) = two_feeds
    first.follow(frozenset({"AAPL"}))
    wait_until(lambda: first.is_owner and source.followed == {"AAPL"})
    source.set_price("AAPL", 100)
    wait_for_price(worker, "AAPL", 100)
    wait_until(lambda: worker.get_last_heartbeat(EPOCH) == source.heard_at)
    assert not idle.followed


def test_another_process_takes_over_when_the_owner_ends(two_feeds):
    (owner, _), (reader, idle) = follow_symbols(two_feeds)
    owner.close()
    wait_until(lambda: reader.is_owner and "MSFT" in idle.followed)
    idle.set_price("MSFT", 102)
    assert get_price(reader, "MSFT") == 102


def test_each_process_reads_its_symbols_while_redis_is_down(two_feeds, redis_server):
    (owner, source), (reader, idle) = follow_symbols(two_feeds)
    redis_server.kill()
    wait_until(lambda: not owner.is_connected and not reader.is_connected)
    assert source.followed | idle.followed == {"AAPL", "MSFT"}
    assert not source.followed & idle.followed
    redis_server.start()
    wait_until(lambda: owner.is_owner != reader.is_owner)
    wait_until(lambda: {source.followed, idle.followed} == {frozenset(), frozenset({"AAPL", "MSFT"})})


def test_two_services_send_the_requests_of_one(redis_server, new_database):
    settings = {
        "DATABASE_URL": new_database("postgresql"),
        "LOG_LEVEL": "ERROR",
        "REDIS_URL": redis_server.url,
    }
    settings |= {"ENVIRONMENT": "development", "PRICE_SOURCE": "alpaca", "ALPACA_API_KEY": KEY_ID}
    with StandIn() as alpaca:
        alpaca.exchange.quote("AAPL", "99", "101")
        alpaca.exchange.quote("MSFT", "199", "201")
        settings |= {"ALPACA_API_SECRET": SECRET_KEY, "ALPACA_DATA_URL": alpaca.url}
        with run_process(**settings) as process, run_process(**settings) as two:
            wait_until(lambda: get_bid(process, "AAPL") == "99.00" and get_bid(two, "MSFT") == "199.00")
            alpaca.exchange.quote("AAPL", "100", "101")
            wait_until(lambda: get_bid(two, "AAPL") == get_bid(process, "AAPL") == "100.00")
            alpaca.gateway.requests.clear()
            began = time.monotonic()
            time.sleep(5)
            read = [request for request in alpaca.gateway.requests if "/quotes/latest" in str(request)]
            # each process that reads sends one request a second
            assert 1 <= len(read) <= time.monotonic() - began + 2


def get_bid(service, symbol):
    response = httpx.get(
        f"{service.url}/api/v1/quotes/{symbol}", headers={"X-API-Key": BOOTSTRAP_KEY}, timeout=30
    )
    return response.json().get("bid")
