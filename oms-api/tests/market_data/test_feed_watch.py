"""A price feed that becomes stale, or fresh again, is one event for each tenant."""

from datetime import datetime, timedelta

import pytest
from typing_extensions import override

from app.clock import EPOCH, utc_now
from app.database import connect_engine
from app.instruments.rules import InstrumentKey
from app.market_data.service import Market
from app.market_data.service.feed_watch import FeedWatch
from app.market_data.sources.manual import ManualSource
from tests.support.event_schemas import VALIDATORS
from tests.support.jobs import EndlessLease

pytestmark = pytest.mark.any_database


class Feed(ManualSource):
    """A feed that was heard when the test says so."""

    name = "feed"
    heard_at: datetime | None = None

    @override
    def get_last_heartbeat(self, _at):
        return self.heard_at


@pytest.fixture
def engine(service):
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    yield engine
    engine.dispose()


def list_types(api):
    events = api.get("/events", type="market_data.*").json()
    for event in events:
        VALIDATORS[event["type"]].validate(event["data"])
    return [event["type"] for event in reversed(events)]


def test_stale_feed_is_reported_once_with_several_processes_and_after_a_restart(api, engine):
    feed, now = Feed(), utc_now()
    market = Market(feed, api.service.app.state.readers, timedelta(seconds=30))
    market.subscribe([InstrumentKey(1, "AAPL")], lambda *_: None)
    first, second = (FeedWatch(engine, market, lambda: now) for _ in range(2))
    feed.heard_at = now - timedelta(seconds=30)
    for watch in (first, second):
        watch.check(EndlessLease())
    assert list_types(api) == []
    feed.heard_at = now - timedelta(seconds=31)
    for watch in (first, second, first, FeedWatch(engine, market, lambda: now)):
        watch.check(EndlessLease())
    assert list_types(api) == ["market_data.stale"]
    assert len(list_types(api.service.create_client())) == 0  # a tenant that was created later
    feed.heard_at = now
    for watch in (second, first, second):
        watch.check(EndlessLease())
    assert list_types(api) == ["market_data.stale", "market_data.fresh"]


def test_prices_that_never_age_are_not_stale(api, engine):
    watch = FeedWatch(engine, Market(ManualSource(), api.service.app.state.readers), utc_now)
    watch.check(EndlessLease())
    assert list_types(api) == []


def test_feed_is_silent_only_while_symbols_are_subscribed_and_before_its_first_answer_since_then(api):
    feed, now = Feed(), utc_now()
    feed.heard_at = EPOCH  # it has sent nothing
    market = Market(feed, api.service.app.state.readers)
    assert market.compute_feed_silence(now) is None
    unsubscribe = market.subscribe([InstrumentKey(1, "AAPL")], lambda *_: None)
    silences = [market.compute_feed_silence(now + timedelta(seconds=seconds)) for seconds in (5, 35)]
    assert silences == [timedelta(0), timedelta(seconds=30)]
    unsubscribe()
    assert market.compute_feed_silence(now) is None
