"""Writes outside the writer: committed before the answer, rolled back on errors."""

import asyncio
import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database.changes import ChangeWriter
from app.database.engine import connect_engine
from app.errors import NotPlaced, OutcomeUnknown, Unavailable

RENAME = text("UPDATE tenants SET name = 'Renamed' WHERE id = 1")
NAMES = text("SELECT name FROM tenants WHERE id = 1")


@pytest.fixture
def change_listener(engine):
    changes = ChangeWriter(engine)
    yield changes
    changes.close()


@pytest.fixture
def postgres_url(new_database):
    engine = connect_engine(new_database("postgresql"), readers=2)
    yield engine
    engine.dispose()


def read_names(engine):
    with engine.connect() as connection:
        return connection.execute(NAMES).scalar_one()


def test_change_is_committed_before_the_answer(engine, change_listener):
    counted = asyncio.run(change_listener.run(lambda connection: connection.execute(RENAME).rowcount, 1))
    assert (counted, read_names(engine)) == (1, "Renamed")


def test_failed_change_is_rolled_back(engine, change_listener):
    def change(connection):
        connection.execute(RENAME)
        connection.execute(text("INSERT INTO tenants SELECT * FROM tenants"))

    with pytest.raises(IntegrityError):
        asyncio.run(change_listener.run(change, 1))
    assert read_names(engine) != "Renamed"


def test_unavailable_database_applies_no_change(tmp_path):
    engine = connect_engine(f"sqlite:///{tmp_path}/no/such/folder.db")
    changes = ChangeWriter(engine)
    with pytest.raises(NotPlaced):
        asyncio.run(changes.run(lambda connection: connection.execute(RENAME), 1))
    changes.close()
    engine.dispose()


def test_full_queue_of_changes_is_refused_immediately(engine, monkeypatch):
    monkeypatch.setattr("app.database.changes.MAX_WAITING", 1)
    changes, gate = ChangeWriter(engine), threading.Event()

    async def run():
        waiting = [asyncio.create_task(changes.run(lambda _: gate.wait(60), 1)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(NotPlaced, match="Too many changes"):
            await changes.run(lambda _: 1, 1)
        gate.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(run()) == [True, True]
    changes.close()
    with pytest.raises(NotPlaced, match="stopping"):
        asyncio.run(changes.run(lambda _: 1, 1))


@pytest.mark.parametrize("when", ["before", "at"])
def test_connection_lost_at_commit_reports_an_unknown_outcome(postgres_url, when):
    changes = ChangeWriter(postgres_url)

    def change(connection):
        connection.execute(RENAME)
        own = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with postgres_url.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:own, 5000)"), {"own": own})
        if when == "before":
            connection.execute(RENAME)

    with pytest.raises(Unavailable) as lost:
        asyncio.run(changes.run(change, 1))
    assert type(lost.value) is (NotPlaced if when == "before" else OutcomeUnknown)
    changes.close()
