"""Symbols whose quotes a tenant always follows, and the health of the feed."""

import asyncio
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from typing_extensions import override

from app.clock import utc_now
from app.database import Readers, connect_engine
from app.instruments.rules import InstrumentKey
from app.market_data.rules.values import Quote
from app.market_data.service import Market, subscriptions
from app.market_data.service.quote_sharing import QuoteSharing
from app.market_data.service.subscriptions import SubscribedQuotes
from app.market_data.sources.manual import ManualSource
from tests.support.redis import RedisServer

PATH = "/market-data/subscriptions"


class SilentSource(ManualSource):
    """A price source that answered last a minute ago. It records the symbols that it follows."""

    name = "silent"

    def __init__(self):
        self.followed: frozenset[str] = frozenset()

    @override
    def follow(self, symbols):
        self.followed = symbols

    @override
    def get_last_heartbeat(self, at):
        return at - timedelta(minutes=1)


def list_symbols(api):
    return {item["symbol"]: item for item in api.get(PATH).json()}


def test_subscriptions_show_their_last_quotes(api):
    api.set_quote("AAPL", "99", "101", "100")
    response = api.post(PATH, {"symbols": ["aapl", "MSFT"]})
    assert response.status_code == 201, response.text
    assert [item["symbol"] for item in response.json()] == ["AAPL", "MSFT"]
    first = list_symbols(api)
    assert (first["AAPL"]["quote"]["bid"], first["AAPL"]["is_stale"]) == ("99.00", False)
    assert first["AAPL"]["quote"]["age_seconds"] >= 0
    assert api.post(PATH, {"symbols": ["AAPL"]}).json()[0]["created_at"] == first["AAPL"]["created_at"]
    assert api.delete(f"{PATH}/msft").status_code == 204
    assert set(list_symbols(api)) == {"AAPL"}
    assert api.delete(f"{PATH}/MSFT").status_code == 404
    actions = [item["action"] for item in api.get("/audit").json()]
    assert actions.count("market_data.subscribed") == 2
    assert actions.count("market_data.unsubscribed") == 1


@pytest.mark.any_database
def test_subscriptions_of_another_tenant_are_not_seen(service, api):
    api.post(PATH, {"symbols": ["SECRET"]})
    other = service.create_client()
    assert list_symbols(other) == {}
    assert other.delete(f"{PATH}/SECRET").status_code == 404
    assert other.get("/market-data/health").json()["subscriptions"] == 0


@pytest.mark.any_database
@pytest.mark.parametrize("body", [{"symbols": []}, {"symbols": ["?"]}, {"symbols": ["A"], "more": 1}, {}])
def test_invalid_subscriptions_are_refused(api, body):
    assert api.post(PATH, body).status_code == 422
    assert list_symbols(api) == {}


@pytest.mark.any_database
def test_number_of_subscriptions_is_limited(api, monkeypatch):
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 2)
    assert api.post(PATH, {"symbols": ["A", "B"]}).status_code == 201
    assert api.post(PATH, {"symbols": ["B", "C"]}).status_code == 409
    assert set(list_symbols(api)) == {"A", "B"}


@pytest.mark.any_database
def test_health_names_subscriptions_without_a_quote(api):
    api.set_quote("AAPL", "99", "101", "100")
    api.post(PATH, {"symbols": ["AAPL", "XXXYYY/USD"]})
    health = api.get("/market-data/health").json()
    assert (health["status"], health["price_source"], health["subscriptions"]) == ("ok", "simulated", 2)
    assert health["stale_symbols"] == []


@pytest.mark.any_database
def test_each_process_follows_the_subscriptions_of_all_tenants(service, api):
    engine = connect_engine(service.database_url, readers=2)
    readers, source = Readers(engine, 2), SilentSource()
    followed = SubscribedQuotes(readers, Market(source, readers))
    api.post(PATH, {"symbols": ["FOLLOWED"]})
    asyncio.run(followed.refresh())
    assert "FOLLOWED" in source.followed
    api.delete(f"{PATH}/FOLLOWED")
    asyncio.run(followed.refresh())
    asyncio.run(followed.refresh())  # nothing has changed
    assert "FOLLOWED" not in source.followed
    readers.close()
    engine.dispose()


@pytest.mark.any_database
def test_health_reports_a_silent_feed(service, api, monkeypatch):
    market = service.app.state.market
    monkeypatch.setattr(market, "_source", SilentSource())
    unsubscribe = market.subscribe([InstrumentKey(api.tenant_id, "AAPL")], lambda *_: None)
    health = api.get("/market-data/health").json()
    unsubscribe()
    assert (health["status"], health["silence_seconds"]) == ("stale", 60.0)


def test_feed_is_not_silent_while_no_symbol_is_subscribed():
    market, now = Market(SilentSource(), None), utc_now()  # type: ignore[arg-type]  # nothing is read
    assert market.compute_feed_silence(now) is None
    unsubscribe = market.subscribe([InstrumentKey(1, "AAPL")], lambda *_: None)
    assert market.compute_feed_silence(now) == timedelta(minutes=1)
    unsubscribe()
    assert market.compute_feed_silence(now) is None


def build_quote(last, at):
    return Quote("AAPL", None, Decimal("101.5"), Decimal(last), None, Decimal(3), at, "manual")


def test_older_shared_quote_does_not_replace_a_later_one():
    market, now = Market(ManualSource(), None), utc_now()  # type: ignore[arg-type]  # nothing is read
    market.apply_shared_quote(1, build_quote("2", now))
    market.apply_shared_quote(1, build_quote("1", now - timedelta(seconds=1)))
    last = market.get_last_quote(1, "AAPL")
    assert last is not None
    assert last.last == 2


def test_quotes_of_a_process_reach_the_others_over_redis():
    server = RedisServer()
    heard, arrived = [], threading.Event()

    def listen(tenant_id, received):
        heard.append((tenant_id, received))
        arrived.set()

    async def work():
        markets = [Market(ManualSource(), None) for _ in range(2)]  # type: ignore[arg-type]  # as above
        markets[1].subscribe([InstrumentKey(1, "AAPL")], listen)
        sharings = [QuoteSharing(server.url, market) for market in markets]
        tasks = [asyncio.create_task(sharing.run()) for sharing in sharings]
        async with asyncio.timeout(30):
            while not all(sharing.is_shared for sharing in sharings):  # noqa: ASYNC110  # nothing signals it
                await asyncio.sleep(0.01)
            markets[0].receive_quote(1, sent)
            while not arrived.is_set():  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    sent = build_quote("100", utc_now())
    try:
        server.start()
        asyncio.run(work())
    finally:
        server.remove()
    assert heard == [(1, sent)]
