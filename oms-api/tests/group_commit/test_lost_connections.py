"""A lost database: nothing was recorded before COMMIT; at COMMIT the outcome is determined."""

from contextlib import contextmanager

import psycopg2
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from app.errors import NotPlaced, OutcomeUnknown
from tests.group_commit.note_writer import NoteHandler, read_notes, run_writer, submit_all


class DiskFull(psycopg2.OperationalError):
    """The error of PostgreSQL without disk space. The connection stays intact."""

    pgcode = "53100"


def build_connection_error() -> OperationalError:
    """Return the error that SQLAlchemy raises when the server closed the connection."""
    return OperationalError("COMMIT", {}, psycopg2.OperationalError("server closed the connection"), True)


@contextmanager
def lose_connection_at_commit(engine, monkeypatch, first_commits: bool):
    """Lose the connection at the next COMMIT of the writer, before or after it was carried out."""
    commit = engine.dialect.do_commit
    failures_left = [1]

    def losing(connection):
        if not failures_left:
            return commit(connection)
        failures_left.pop()
        if first_commits:
            commit(connection)
        raise build_connection_error()

    monkeypatch.setattr(engine.dialect, "do_commit", losing)
    yield
    monkeypatch.undo()


@pytest.mark.parametrize("committed", [True, False])
def test_outcome_of_a_lost_commit_is_reported(engine, monkeypatch, committed):
    handler = NoteHandler()
    with run_writer(engine, handler) as writer, lose_connection_at_commit(engine, monkeypatch, committed):
        outcomes = submit_all(writer, ["a"])
        assert submit_all(writer, ["after"]) == ["wrote after"]
    if committed:
        assert handler.checks == 1
        assert outcomes == ["wrote a"]
        assert read_notes(engine) == ["a", "after"]
    else:
        assert isinstance(outcomes[0], NotPlaced)
        assert read_notes(engine) == ["after"]


def test_outcome_lookup_is_retried_until_the_database_returns(engine, monkeypatch):
    monkeypatch.setattr("app.group_commit.batch_writer._RECOVERY_PAUSE_SECONDS", 0)
    handler = NoteHandler()
    handler.check_fails = 3
    with run_writer(engine, handler) as writer, lose_connection_at_commit(engine, monkeypatch, True):
        monkeypatch.setattr("app.group_commit.batch_writer._RECOVERY_PAUSE_SECONDS", 0)
        assert submit_all(writer, ["a"]) == ["wrote a"]
    assert handler.checks == 4


def test_undecided_outcome_is_reported_as_unknown(engine, monkeypatch):
    handler = NoteHandler()
    with run_writer(engine, handler) as writer, lose_connection_at_commit(engine, monkeypatch, True):
        monkeypatch.setattr("app.group_commit.batch_writer.MAX_RECOVERY_SECONDS", 0)
        outcomes = submit_all(writer, ["a"])
    assert isinstance(outcomes[0], OutcomeUnknown)
    assert outcomes[0].kind == "outcome-unknown"
    assert outcomes[0].retry_after_seconds == 1


def test_connection_lost_before_commit_records_nothing(engine):
    handler = NoteHandler()
    with run_writer(engine, handler) as writer:

        @event.listens_for(engine, "before_cursor_execute")
        def lose(connection, cursor, statement, *_):
            if "lose" in str(_[0]):
                raise build_connection_error()

        outcomes = submit_all(writer, ["lose"])
        event.remove(engine, "before_cursor_execute", lose)
        assert submit_all(writer, ["after"]) == ["wrote after"]
    assert isinstance(outcomes[0], NotPlaced)
    assert "lose" not in read_notes(engine)


def test_commit_rejected_by_the_database_is_not_a_lost_commit(engine, monkeypatch):
    """A deferred constraint or a full disk fails COMMIT with an answer: nothing stands."""
    handler = NoteHandler()
    commit = engine.dialect.do_commit
    refusals = [1, 1]  # the second time it is alone

    def refusing(connection):
        if refusals:
            refusals.pop()
            raise OperationalError("COMMIT", {}, DiskFull("disk full"), False)
        commit(connection)

    with run_writer(engine, handler) as writer:
        monkeypatch.setattr(engine.dialect, "do_commit", refusing)
        outcomes = submit_all(writer, ["a"])
        assert submit_all(writer, ["after"]) == ["wrote after"]
    assert isinstance(outcomes[0], NotPlaced)
    assert handler.checks == 0
    assert read_notes(engine) == ["after"]


def test_connection_closed_by_the_server_loses_nothing(engine, databases, backend):
    if backend == "sqlite":
        return  # there is no server to cut
    with run_writer(engine, NoteHandler()) as writer:
        assert submit_all(writer, ["a"]) == ["wrote a"]
        name = engine.url.database
        databases.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608  # ours
        (outcome,) = submit_all(writer, ["b"])
        assert isinstance(outcome, NotPlaced)
        assert submit_all(writer, ["c"]) == ["wrote c"]
    assert read_notes(engine) == ["a", "c"]
