"""A silent price feed: opening orders are denied, and reducing orders wait for the next quote."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from typing_extensions import override

from app.brokers.rules.settings import IDEAL_MARKET
from app.calendars.service import Calendars
from app.database import Readers
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.orders.rules.values import Status
from app.orders.service.internal_commands import MatchQuote
from app.orders.service.market_watcher import MarketWatcher
from tests.orders.writer_harness import START, WriterHarness


class Feed(ManualSource):
    """A feed of two symbols; `heard` is when it was heard last."""

    name = "feed"
    heard = START

    def __init__(self) -> None:
        prices = (Decimal(99), Decimal(101), Decimal(100), None, None)
        self.quotes = {symbol: Quote(symbol, *prices, START, self.name) for symbol in ("AAPL", "MSFT")}

    @override
    def get_quote(self, symbol: str, at: Any) -> Quote | None:
        return self.quotes.get(symbol)

    @override
    def get_last_heartbeat(self, at: Any) -> Any:
        return self.heard


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def harness(engine, feed):
    return WriterHarness(engine, IDEAL_MARKET, source=feed)


def check_quotes(harness, feed, symbol="AAPL"):
    """Return the outcome of the market watcher for a symbol with a working order."""
    (outcome,) = harness.run(
        MatchQuote(harness.tenant, feed.quotes[symbol], harness.now.isoformat(), is_new=False)
    )
    return outcome


def get_denial_code(order):
    return order.denial and order.denial.split('"')[3]


def test_market_order_is_denied_while_the_feed_is_silent(harness, feed):
    harness.advance_clock(seconds=30)
    assert harness.place_order().status is Status.FILLED
    harness.advance_clock(seconds=313)
    stale = harness.place_order()
    assert (stale.status, get_denial_code(stale)) == (Status.DENIED, "STALE_QUOTE")
    assert harness.place_order(type="LIMIT", limit_price="90").status is Status.ACCEPTED


def test_unchanged_symbol_on_a_live_feed_is_not_stale(harness, feed):
    harness.advance_clock(seconds=343)
    feed.heard = harness.now - timedelta(seconds=1)  # it was heard of another symbol
    assert harness.place_order().status is Status.FILLED


def test_manual_price_does_not_become_stale(harness):
    harness.publish_quote("99", "101", "100")
    harness.advance_clock(days=1)
    assert harness.place_order().status is Status.FILLED


def test_close_waits_for_the_next_price(harness, feed):
    harness.place_order()
    harness.advance_clock(seconds=60)
    (closed,) = harness.close_position().orders
    assert closed.order.status is Status.ACCEPTED
    check_quotes(harness, feed)
    assert harness.get_order(closed.order).status is Status.ACCEPTED
    feed.heard = harness.now
    check_quotes(harness, feed)
    assert harness.get_order(closed.order).status is Status.FILLED


def test_reducing_order_waits_and_immediate_order_lapses_on_a_stale_quote(harness, feed):
    harness.place_order()
    harness.advance_clock(seconds=60)
    assert harness.place_order(side="SELL", quantity="4").status is Status.ACCEPTED
    assert harness.place_order(side="SELL", quantity="4", time_in_force="IOC").status is Status.CANCELED


def test_market_watcher_checks_again_when_the_feed_returns(engine, harness, feed):
    harness.place_order(type="LIMIT", limit_price="90")
    works = []

    class Writer:
        def submit_all(self, commands):
            works.extend(commands)
            return [asyncio.sleep(0) for _ in commands]

    readers, writer = Readers(engine, 1), cast("Any", Writer())
    job = MarketWatcher(readers, writer, Market(feed, readers), lambda: harness.now, Calendars.load())
    quotes = []
    for seconds, is_heard in ((1, False), (60, False), (0, True)):
        harness.advance_clock(seconds=seconds)
        feed.heard = harness.now if is_heard else feed.heard
        asyncio.run(job.check())
        quotes.append([work.quote.symbol for work in works])
        works.clear()
    readers.close()
    assert quotes == [["AAPL"], [], ["AAPL"]]
