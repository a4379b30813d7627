"""A lost database: nothing was recorded before COMMIT; at COMMIT the outcome is determined."""

from contextlib import contextmanager

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.errors import NotPlaced, OutcomeUnknown
from tests.group_commit.rig import Notes, notes_in, outcomes_of, writing


class DiskFull(psycopg2.OperationalError):
    """What PostgreSQL answers when it has no room, the connection intact."""

    pgcode = "53100"


def lost() -> OperationalError:
    """Return the error that SQLAlchemy raises when the server closed the connection."""
    return OperationalError("COMMIT", {}, psycopg2.OperationalError("server closed the connection"), True)


@contextmanager
def commits(engine, monkeypatch, first_commits: bool):
    """Lose the connection at the next COMMIT of the writer, before or after it was carried out."""
    commit = engine.dialect.do_commit
    left = [1]

    def losing(connection):
        if not left:
            return commit(connection)
        left.pop()
        if first_commits:
            commit(connection)
        raise lost()

    monkeypatch.setattr(engine.dialect, "do_commit", losing)
    yield
    monkeypatch.undo()


@pytest.mark.parametrize("committed", [True, False])
def test_outcome_of_a_lost_commit_is_reported(engine, monkeypatch, committed):
    handler = Notes()
    with writing(engine, handler) as writer, commits(engine, monkeypatch, committed):
        outcomes = outcomes_of(writer, ["a"])
        assert outcomes_of(writer, ["after"]) == ["wrote after"]
    if committed:
        assert handler.checks == 1
        assert outcomes == ["wrote a"]
        assert notes_in(engine) == ["a", "after"]
    else:
        assert isinstance(outcomes[0], NotPlaced)
        assert notes_in(engine) == ["after"]


def test_outcome_lookup_is_retried_until_the_database_returns(engine, monkeypatch):
    monkeypatch.setattr("app.group_commit.writing._RECOVERY_PAUSE_SECONDS", 0)
    handler = Notes()
    handler.check_fails = 3
    with writing(engine, handler) as writer, commits(engine, monkeypatch, True):
        monkeypatch.setattr("app.group_commit.writing._RECOVERY_PAUSE_SECONDS", 0)
        assert outcomes_of(writer, ["a"]) == ["wrote a"]
    assert handler.checks == 4


def test_undecided_outcome_is_reported_as_unknown(engine, monkeypatch):
    handler = Notes()
    with writing(engine, handler) as writer, commits(engine, monkeypatch, True):
        monkeypatch.setattr("app.group_commit.writing.RECOVERY_SECONDS", 0)
        outcomes = outcomes_of(writer, ["a"])
    assert isinstance(outcomes[0], OutcomeUnknown)
    assert outcomes[0].kind == "outcome-unknown"
    assert outcomes[0].retry_after_seconds == 1


def test_connection_lost_before_commit_records_nothing(engine):
    handler = Notes()
    with writing(engine, handler) as writer:

        @event.listens_for(engine, "before_cursor_execute")
        def lose(connection, cursor, statement, *_):
            if "lose" in str(_[0]):
                raise lost()

        outcomes = outcomes_of(writer, ["lose"])
        event.remove(engine, "before_cursor_execute", lose)
        assert outcomes_of(writer, ["after"]) == ["wrote after"]
    assert isinstance(outcomes[0], NotPlaced)
    assert "lose" not in notes_in(engine)


def test_commit_rejected_by_the_database_is_not_a_lost_commit(engine, monkeypatch):
    """A deferred constraint or a full disk fails COMMIT with an answer: nothing stands."""
    handler = Notes()
    commit = engine.dialect.do_commit
    refusals = [1, 1]  # the second time it is alone

    def refusing(connection):
        if refusals:
            refusals.pop()
            raise OperationalError("COMMIT", {}, DiskFull("disk full"), False)
        commit(connection)

    with writing(engine, handler) as writer:
        monkeypatch.setattr(engine.dialect, "do_commit", refusing)
        outcomes = outcomes_of(writer, ["a"])
        assert outcomes_of(writer, ["after"]) == ["wrote after"]
    assert isinstance(outcomes[0], NotPlaced)
    assert handler.checks == 0
    assert notes_in(engine) == ["after"]


def test_connection_closed_by_the_server_loses_nothing(engine, databases, backend):
    if backend == "sqlite":
        return  # there is no server to cut
    with writing(engine, Notes()) as writer:
        assert outcomes_of(writer, ["a"]) == ["wrote a"]
        name = engine.url.database
        databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  # ours
        (outcome,) = outcomes_of(writer, ["b"])
        assert isinstance(outcome, NotPlaced)
        assert outcomes_of(writer, ["c"]) == ["wrote c"]
    assert notes_in(engine) == ["a", "c"]
