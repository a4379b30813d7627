"""Concurrent reads of one kind share one query."""

import asyncio
import threading

import pytest

from app.database import Readers
from app.database.group_read import MAX_KEYS, GroupRead
from app.errors import Unavailable


class Counting:
    """A read that notes which keys it was asked for, and can be held."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()

    def __call__(self, connection, keys):
        self.asked.append(sorted(keys))
        self.begun.set()
        assert self.go.wait(60)
        if "broken" in keys:
            raise Unavailable("The database does not answer.")
        return {key: key.upper() for key in keys if key != "missing"}


@pytest.fixture
def readers(engine):
    made = Readers(engine, 2)
    yield made
    made.close()


def test_concurrent_reads_share_a_query(readers):
    read = Counting()

    async def run():
        books = GroupRead(readers, read)
        return await asyncio.gather(*(books.get(key) for key in ("a", "b", "a", "missing", "a")))

    assert asyncio.run(run()) == ["A", "B", "A", None, "A"]
    assert read.asked == [["a", "b", "missing"]]


def test_read_during_a_running_query_waits_for_the_next_query(readers):
    read = Counting()

    async def run() -> None:
        books = GroupRead(readers, read)
        read.go.clear()
        first = asyncio.create_task(books.get("a"))
        await asyncio.to_thread(read.begun.wait, 60)
        second = asyncio.create_task(books.get("a"))
        await asyncio.sleep(0)
        read.go.set()
        assert await first == await second == "A"

    asyncio.run(run())
    assert read.asked == [["a"], ["a"]]


def test_query_failure_is_raised_only_to_its_waiting_readers(readers):
    async def run() -> None:
        books = GroupRead(readers, Counting())
        results = await asyncio.gather(books.get("broken"), books.get("a"), return_exceptions=True)
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        assert await books.get("a") == "A"

    asyncio.run(run())


def test_cancelled_reader_does_not_affect_the_others(readers):
    async def run() -> None:
        books = GroupRead(readers, Counting())
        leaving = asyncio.create_task(books.get("a"))
        staying = asyncio.create_task(books.get("a"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await staying == "A"

    asyncio.run(run())


def test_many_keys_are_queried_in_chunks(readers):
    read = Counting()

    async def run():
        books = GroupRead(readers, read)
        return await asyncio.gather(*(books.get(f"k{number}") for number in range(2 * MAX_KEYS + 1)))

    assert len(set(asyncio.run(run()))) == 2 * MAX_KEYS + 1
    assert [len(keys) for keys in read.asked] == [MAX_KEYS, MAX_KEYS, 1]
