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
from app.orders.service.internal_commands import QuoteArrived
from app.orders.service.market_watcher import MarketWatcher
from tests.orders.rig import START, Rig


class Feed(ManualSource):
    """A feed of two symbols; `heard` is when it was heard last."""

    name = "feed"
    heard = START

    def __init__(self) -> None:
        prices = (Decimal(99), Decimal(101), Decimal(100), None, None)
        self.quotes = {symbol: Quote(symbol, *prices, START, self.name) for symbol in ("AAPL", "MSFT")}

    @override
    def quote(self, symbol: str, at: Any) -> Quote | None:
        return self.quotes.get(symbol)

    @override
    def get_last_heartbeat(self, at: Any) -> Any:
        return self.heard


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def rig(engine, feed):
    return Rig(engine, IDEAL_MARKET, source=feed)


def check_quotes(rig, feed, symbol="AAPL"):
    """Return what the market watcher does with a symbol that an order waits for."""
    (outcome,) = rig.run(QuoteArrived(rig.tenant, feed.quotes[symbol], rig.now.isoformat(), is_new=False))
    return outcome


def denial_code(order):
    return order.denial and order.denial.split('"')[3]


def test_market_order_is_denied_while_the_feed_is_silent(rig, feed):
    rig.tick(seconds=30)
    assert rig.place().status is Status.FILLED
    rig.tick(seconds=313)
    stale = rig.place()
    assert (stale.status, denial_code(stale)) == (Status.DENIED, "STALE_QUOTE")
    assert rig.place(type="LIMIT", limit_price="90").status is Status.ACCEPTED


def test_unchanged_symbol_on_a_live_feed_is_not_stale(rig, feed):
    rig.tick(seconds=343)
    feed.heard = rig.now - timedelta(seconds=1)  # it was heard of another symbol
    assert rig.place().status is Status.FILLED


def test_manual_price_does_not_become_stale(rig):
    rig.quote("99", "101", "100")
    rig.tick(days=1)
    assert rig.place().status is Status.FILLED


def test_close_waits_for_the_next_price(rig, feed):
    rig.place()
    rig.tick(seconds=60)
    (closed,) = rig.close().orders
    assert closed.order.status is Status.ACCEPTED
    check_quotes(rig, feed)
    assert rig.order(closed.order).status is Status.ACCEPTED
    feed.heard = rig.now
    check_quotes(rig, feed)
    assert rig.order(closed.order).status is Status.FILLED


def test_reducing_order_waits_and_immediate_order_lapses_on_a_stale_quote(rig, feed):
    rig.place()
    rig.tick(seconds=60)
    assert rig.place(side="SELL", quantity="4").status is Status.ACCEPTED
    assert rig.place(side="SELL", quantity="4", time_in_force="IOC").status is Status.CANCELED


def test_market_watcher_checks_again_when_the_feed_returns(engine, rig, feed):
    rig.place(type="LIMIT", limit_price="90")
    works = []

    class Writer:
        def submit_all(self, commands):
            works.extend(commands)
            return [asyncio.sleep(0) for _ in commands]

    readers, writer = Readers(engine, 1), cast("Any", Writer())
    duty = MarketWatcher(readers, writer, Market(feed, readers), lambda: rig.now, Calendars.load())
    seen = []
    for seconds, is_heard in ((1, False), (60, False), (0, True)):
        rig.tick(seconds=seconds)
        feed.heard = rig.now if is_heard else feed.heard
        asyncio.run(duty.check())
        seen.append([work.quote.symbol for work in works])
        works.clear()
    readers.close()
    assert seen == [["AAPL"], [], ["AAPL"]]
