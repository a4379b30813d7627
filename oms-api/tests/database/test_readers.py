"""Reads outside the event loop: a bounded queue, a time limit, and an error without a database."""

import asyncio
import threading

import pytest
from sqlalchemy import text

from app.database import Readers, connect_engine, snapshot, unit_of_work
from app.errors import Unavailable


def test_full_read_queue_is_rejected_immediately(engine, monkeypatch):
    monkeypatch.setattr("app.database.readers.QUEUE_PER_THREAD", 2)
    readers, gate = Readers(engine, 1), threading.Event()

    async def run():
        waiting = [asyncio.create_task(readers.run(lambda _: gate.wait(60))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="Too many reads"):
            await readers.run(lambda _: 1)
        gate.set()
        assert await asyncio.gather(*waiting) == [True, True]
        return await readers.run(lambda connection: connection.execute(text("SELECT 7")).scalar_one())

    assert asyncio.run(run()) == 7
    readers.close()


def test_unavailable_database_is_reported():
    engine = connect_engine("postgresql://nobody@127.0.0.1:1/none")
    readers = Readers(engine, 1)
    with pytest.raises(Unavailable, match="does not answer"):
        asyncio.run(readers.run(lambda _: 1))
    readers.close()


def test_slow_read_is_cancelled_at_its_timeout(new_database):
    engine = connect_engine(new_database("postgresql"), timeout_seconds=0.2)
    readers = Readers(engine, 1)
    with pytest.raises(Unavailable):
        asyncio.run(readers.run(lambda connection: connection.execute(text("SELECT pg_sleep(30)"))))
    readers.close()
    engine.dispose()
    connect_engine("postgresql://nobody@127.0.0.1:1/none")  # patience is the process's: back to the default


def test_snapshot_read_is_consistent(serve):
    with serve() as service:
        api = service.create_client()
        api.record_trade()
        count = text("SELECT count(*) FROM trades")
        with snapshot(service.engine) as connection:
            before = connection.execute(count).scalar_one()
            api.record_trade()
            assert connection.execute(count).scalar_one() == before == 1
        with service.open_connection() as connection:
            assert connection.execute(count).scalar_one() == 2


def test_failed_unit_of_work_is_rolled_back(engine):
    statement = text(
        "INSERT INTO tenants (id, slug, name, created_at) "
        "VALUES (9, 'nine', 'Nine', '2026-01-01T00:00:00.000000Z')"
    )

    def fail_half_way():
        with unit_of_work(engine) as connection:
            connection.execute(statement)
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    with unit_of_work(engine) as connection:
        connection.execute(statement)
