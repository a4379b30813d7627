"""A row lock of another session delays only the requests that need the row."""

import pytest
from sqlalchemy import text

from app.database import connect_engine, locks
from app.errors import NotPlaced
from app.group_commit import BatchResult, GroupCommit
from tests.group_commit.note_writer import submit_all


class RowLockHandler:
    """A handler that locks the row that each command names."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def handle(self, connection, works, retained) -> BatchResult[str]:
        self.batches.append(list(works))
        for work in works:
            connection.execute(
                text("UPDATE doors SET opened = opened + 1 WHERE name = :name"), {"name": work[0]}
            )
        return BatchResult([f"opened {work}" for work in works], lambda _: True)


@pytest.fixture
def engine_with_short_lock_timeout(new_database):
    """Provide an engine that waits a fifth of a second for a lock."""
    engine = connect_engine(new_database("postgresql"), timeout_seconds=1.0)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE doors (name TEXT PRIMARY KEY, opened INT NOT NULL)"))
        connection.execute(text("INSERT INTO doors VALUES ('a', 0), ('b', 0)"))
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine_with_short_lock_timeout):
    """Provide a writer that locks works in one group when they begin with the same letter."""
    writer = GroupCommit[str, str](
        engine_with_short_lock_timeout, RowLockHandler(), 100, 100, lock_group=lambda work: work[0]
    )
    writer.start()
    yield writer
    writer.close()


def list_outcome_kinds(outcomes):
    """Return each value, and in the place of a refusal its kind."""
    return [outcome.kind if isinstance(outcome, NotPlaced) else outcome for outcome in outcomes]


def test_command_waiting_for_a_lock_is_rejected_and_others_continue(
    engine_with_short_lock_timeout, writer, monkeypatch
):
    with engine_with_short_lock_timeout.connect() as other:
        other.execute(text("SELECT FROM doors WHERE name = 'a' FOR UPDATE"))
        assert list_outcome_kinds(submit_all(writer, ["a1", "b1", "a2"])) == [
            "not-placed",
            "opened b1",
            "not-placed",
        ]
        assert list_outcome_kinds(submit_all(writer, ["b2", "a3"])) == ["opened b2", "not-placed"]
        other.rollback()
    monkeypatch.setattr(locks, "CLOSED_SECONDS", 0.0)
    with engine_with_short_lock_timeout.connect() as other:
        other.execute(text("SELECT FROM doors WHERE name = 'b' FOR UPDATE"))
        assert list_outcome_kinds(submit_all(writer, ["b3"])) == ["not-placed"]
        other.rollback()
    assert list_outcome_kinds(submit_all(writer, ["b4", "b5"])) == ["opened b4", "opened b5"]
    with engine_with_short_lock_timeout.connect() as connection:
        assert dict(connection.execute(text("SELECT name, opened FROM doors")).all()) == {"a": 0, "b": 4}


def test_locked_group_is_paused_then_retried_alone_until_it_succeeds(engine_with_short_lock_timeout, writer):
    jams = locks.LockContention()
    assert not jams
    jams.close("a")
    assert "a" in jams
    assert jams.is_closed("a")
    assert not jams.is_closed("b")
    jams.open("a")
    assert not jams
