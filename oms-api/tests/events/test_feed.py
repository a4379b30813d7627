"""Reading the outbox on both databases, with transactions that commit late or fail."""

import asyncio
from contextlib import aclosing

import pytest
from sqlalchemy import text

from app.database import Readers, execute_writes, unit_of_work
from app.errors import TooMany, Unavailable
from app.events.queries import EventFilter
from app.events.rules import get_event_number
from app.events.service import feed as feeds
from app.events.service.feed import EventFeed
from app.events.service.outbox import build_event_insert
from app.timestamps import format_timestamp
from tests.factories import NOON

EVERYTHING = EventFilter()


@pytest.fixture
def readers(engine):
    readers = Readers(engine, 2)
    yield readers
    readers.close()


def add_event(connection, number, tenant_id=1, kind="trade.recorded"):
    execute_writes(
        connection, build_event_insert([(tenant_id, kind, f'{{"number":{number}}}', format_timestamp(NOON))])
    )


def add_events(engine, *numbers, **where):
    with unit_of_work(engine) as connection:
        for number in numbers:
            add_event(connection, number, **where)


async def take_events(pages, count):
    """Return the payloads of the next `count` events."""
    rows = []
    async for page in pages:
        rows += [event.payload for event in page]
        if len(rows) >= count:
            return rows
    raise AssertionError("the stream ended")


def build_payloads(*numbers):
    return [f'{{"number":{number}}}' for number in numbers]


def run_async(work):
    async def run_with_timeout():
        async with asyncio.timeout(60):
            await work

    asyncio.run(run_with_timeout())


def test_subscriber_receives_later_events_in_sequence(engine, readers):
    async def work():
        add_events(engine, 1)
        async with aclosing(EventFeed(readers).follow(1, EVERYTHING, None)) as pages:
            assert await anext(pages) == []
            add_events(engine, 2, 3)
            assert await take_events(pages, 2) == build_payloads(2, 3)
            add_events(engine, 4)
            assert await take_events(pages, 1) == build_payloads(4)

    run_async(work())


def test_subscriber_resumes_after_its_last_event(engine, readers, monkeypatch):
    monkeypatch.setattr(feeds, "PAGE_SIZE", 2)

    async def work():
        add_events(engine, 1, 2, 3, 4, 5)
        async with aclosing(EventFeed(readers).follow(1, EVERYTHING, get_event_number(1))) as pages:
            assert await take_events(pages, 4) == build_payloads(2, 3, 4, 5)

    run_async(work())


def test_subscriber_receives_only_its_tenant_and_types(engine, readers):
    async def work():
        add_events(engine, 1, kind="order.filled")
        add_events(engine, 2, tenant_id=2, kind="order.filled")
        add_events(engine, 3, kind="trade.recorded")
        add_events(engine, 4, kind="limit.changed")
        add_events(engine, 5, kind="ordering.done")
        event_filter = EventFilter(types=("order.*", "limit.changed"))
        async with aclosing(EventFeed(readers).follow(1, event_filter, 0)) as pages:
            assert await take_events(pages, 2) == build_payloads(1, 4)

    run_async(work())


def test_late_committed_event_is_not_skipped(engine, readers, backend):
    if backend == "sqlite":
        return  # one writes at a time there

    async def work():
        async with aclosing(EventFeed(readers).follow(1, EVERYTHING, 0)) as pages:
            assert await anext(pages) == []
            with engine.connect() as slow, slow.begin():
                slow.execute(text("UPDATE tenants SET name = 'Late' WHERE id = 1"))
                add_event(slow, 1)
                add_events(engine, 2)
                for _ in range(2):
                    assert await anext(pages) == []  # a second each: 2 is committed, and waits for 1
            assert await take_events(pages, 2) == build_payloads(1, 2)

    run_async(work())


def test_rolled_back_ids_do_not_block_the_feed(engine, readers):
    async def work():
        with engine.connect().execution_options(writes=True) as connection, connection.begin() as failing:
            add_event(connection, 1)
            failing.rollback()
        add_events(engine, 2)
        async with aclosing(EventFeed(readers).follow(1, EVERYTHING, 0)) as pages:
            assert await take_events(pages, 1) == build_payloads(2)

    run_async(work())


def test_horizon_waits_a_limited_time_for_open_transactions(engine, readers, backend):
    if backend == "sqlite":
        return  # as above

    async def work():
        paused = []

        async def pause(seconds):
            paused.append(seconds)

        feed = EventFeed(readers, pause)
        add_events(engine, 1)
        with engine.connect() as slow, slow.begin():
            slow.execute(text("UPDATE tenants SET name = 'Late' WHERE id = 1"))
            with pytest.raises(Unavailable):
                await feed.get_horizon(1)
        assert len(paused) == 100
        assert await feed.get_horizon(1) > 0

    run_async(work())


def test_subscriber_limit_is_enforced_and_freed_on_disconnect(readers, monkeypatch):
    monkeypatch.setattr(feeds, "MAX_FOLLOWERS_OF_TENANT", 1)

    async def work():
        feed = EventFeed(readers)
        async with aclosing(feed.follow(1, EVERYTHING, 0)) as first:
            await anext(first)
            with pytest.raises(TooMany):
                await anext(feed.follow(1, EVERYTHING, 0))
            async with aclosing(feed.follow(2, EVERYTHING, 0)) as other:
                assert await anext(other) == []
        async with aclosing(feed.follow(1, EVERYTHING, 0)) as followed_events:
            assert await anext(followed_events) == []

    run_async(work())


def test_stream_limit_applies_to_each_key(readers, monkeypatch):
    monkeypatch.setattr(feeds, "MAX_FOLLOWERS_OF_KEY", 1)

    async def work():
        feed = EventFeed(readers)
        async with aclosing(feed.follow(1, EVERYTHING, 0, "key")) as first:
            await anext(first)
            with pytest.raises(TooMany, match="with this key"):
                await anext(feed.follow(1, EVERYTHING, 0, "key"))
            async with aclosing(feed.follow(1, EVERYTHING, 0, "other")) as other:
                assert await anext(other) == []
                assert feed.follower_count == 2
        assert feed.follower_count == 0

    run_async(work())


def test_short_database_outage_does_not_end_a_stream(engine, readers, monkeypatch):
    async def work():
        feed = EventFeed(readers)
        whole, failures = readers.run_single, list[int]()

        async def sometimes(read):
            if len(failures) < 2:
                failures.append(1)
                raise Unavailable("away")
            return await whole(read)

        monkeypatch.setattr(readers, "run_single", sometimes)
        add_events(engine, 1)
        async with aclosing(feed.follow(1, EVERYTHING, 0)) as pages:
            assert await take_events(pages, 1) == build_payloads(1)
        assert len(failures) == 2

    run_async(work())
