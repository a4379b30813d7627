"""Statements about jobs. The table has no tenant."""

from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.database import RecordTable, build_insert_missing, execute_writes
from app.jobs.models import JobRow, JobRunRow
from app.jobs.rules.schedule import JobState

_JOBS = cast("Table", JobRow.__table__)
_RUNS = cast("Table", JobRunRow.__table__)
RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"
QUEUE_HOLDER = "queue"  # the holder of a run that no process has started


class JobRun(NamedTuple):
    """A run of a job, of one slot or of a request. `holder` is "host:process id:random"."""

    slot: datetime
    status: str
    started_at: datetime
    duration_ms: int | None
    error: str | None
    holder: str


RUNS = RecordTable(JobRunRow, JobRun)
JOBS = RecordTable(JobRow, JobState)


def list_jobs(connection: Connection) -> list[JobState]:
    """Return the state of all jobs that ever ran, by name."""
    return JOBS.read(connection, JOBS.select().order_by(JobRow.name))


def mark_state(connection: Connection, name: str, now: datetime, *, is_on: bool) -> bool:
    """Store a state that a job has found, in a row of that name. Return whether it has changed."""
    execute_writes(connection, build_insert_missing(_JOBS, ("name",), [(name,)]))
    is_other = JobRow.holder.is_(None) if is_on else JobRow.holder.is_not(None)
    values = {"holder": "on" if is_on else None, "started_at": now}
    statement = update(JobRow).where(JobRow.name == name, is_other).values(**values)
    return connection.execute(statement).rowcount == 1


def is_leased(connection: Connection, name: str, now: datetime) -> bool:
    """Return whether a process holds the lease of a job."""
    statement = select(JobRow.name).where(JobRow.name == name, JobRow.leased_until > now)
    return connection.execute(statement).first() is not None


def acquire_lease(
    connection: Connection, name: str, holder: str, slot: datetime, now: datetime, until: datetime
) -> bool:
    """Take a lease as `acquire_slot` does, and return whether that succeeded."""
    return acquire_slot(connection, name, holder, slot, now, until) is not None


def acquire_slot(
    connection: Connection, name: str, holder: str, slot: datetime, now: datetime, until: datetime
) -> datetime | None:
    """Take the lease of a job that did not start since `slot`, or whose run was requested.

    Return the slot to run: the time of the request, if there is one. Return None without the lease.
    """
    execute_writes(connection, build_insert_missing(_JOBS, ("name",), [(name,)]))
    requested = select(JobRow.requested_at).where(JobRow.name == name).with_for_update()
    requested_at = connection.execute(requested).scalar_one()
    is_free = or_(JobRow.leased_until.is_(None), JobRow.leased_until <= now)
    is_new = or_(JobRow.started_at.is_(None), JobRow.started_at < slot, JobRow.requested_at.is_not(None))
    statement = update(JobRow).where(JobRow.name == name, is_free, is_new)
    values = {"holder": holder, "leased_until": until, "started_at": now, "requested_at": None}
    is_mine = connection.execute(statement.values(**values)).rowcount == 1
    return (requested_at or slot) if is_mine else None


def drop_lease(connection: Connection, name: str, holder: str) -> None:
    """End a lease under which nothing ran."""
    is_mine = (JobRow.name == name, JobRow.holder == holder)
    connection.execute(update(JobRow).where(*is_mine).values(leased_until=None))


def renew_lease(connection: Connection, name: str, holder: str, until: datetime) -> bool:
    """Extend the lease. Return False if another process holds it now."""
    is_mine = (JobRow.name == name, JobRow.holder == holder, JobRow.leased_until.is_not(None))
    return connection.execute(update(JobRow).where(*is_mine).values(leased_until=until)).rowcount == 1


def release_lease(
    connection: Connection, name: str, holder: str, now: datetime, duration_ms: int, error: str | None
) -> None:
    """Record the end of a run. Nothing happens if another process took the lease meanwhile."""
    is_mine = (JobRow.name == name, JobRow.holder == holder, JobRow.leased_until.is_not(None))
    values: dict[str, object] = {"leased_until": None, "duration_ms": duration_ms, "error": error}
    if error is None:
        values["finished_at"] = now
    connection.execute(update(JobRow).where(*is_mine).values(**values))


def insert_run(connection: Connection, name: str, slot: datetime, holder: str, now: datetime) -> bool:
    """Add a run to the history. Return False if the slot has run before."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"name": name, "slot": slot, "holder": holder, "status": RUNNING, "started_at": now}
    added = dialect.insert(_RUNS).values(**values).on_conflict_do_nothing()
    return connection.execute(added).rowcount == 1


class QueuedRun(NamedTuple):
    """A run that a queue names by its id."""

    name: str
    slot: datetime


def queue_run(
    connection: Connection, name: str, slot: datetime, now: datetime, sent_before: datetime
) -> int | None:
    """Store a run that a queue is to start, and return its id.

    Return None if it was stored before, unless no process started it and it was sent before `sent_before`.
    """
    if insert_run(connection, name, slot, QUEUE_HOLDER, now):
        is_to_send = JobRunRow.holder == QUEUE_HOLDER
    else:
        is_to_send = and_(JobRunRow.holder == QUEUE_HOLDER, JobRunRow.started_at < sent_before)
    is_match = (JobRunRow.name == name, JobRunRow.slot == slot, JobRunRow.status == RUNNING)
    run_id = connection.execute(select(JobRunRow.id).where(*is_match, is_to_send)).scalar_one_or_none()
    if run_id is not None:
        connection.execute(update(JobRunRow).where(JobRunRow.id == run_id).values(started_at=now))
    return run_id


def start_queued_run(
    connection: Connection, run_id: int, holder: str, now: datetime, until: datetime
) -> QueuedRun | None:
    """Take the lease of the job of a stored run, and start the run.

    Return None if it has finished, or another process has the lease.
    """
    started = update(JobRunRow).where(JobRunRow.id == run_id, JobRunRow.status == RUNNING)
    row = connection.execute(
        select(JobRunRow.name, JobRunRow.slot).where(JobRunRow.id == run_id)
    ).one_or_none()
    if row is None:
        return None
    execute_writes(connection, build_insert_missing(_JOBS, ("name",), [(row.name,)]))
    is_free = or_(JobRow.leased_until.is_(None), JobRow.leased_until <= now)
    leased = update(JobRow).where(JobRow.name == row.name, is_free).values(leased_until=until)
    if connection.execute(leased).rowcount != 1:
        return None
    is_mine = update(JobRow).where(JobRow.name == row.name)
    if connection.execute(started.values(holder=holder, started_at=now)).rowcount != 1:
        connection.execute(is_mine.values(leased_until=None))
        return None
    connection.execute(is_mine.values(holder=holder, started_at=now))
    connection.execute(is_mine.where(JobRow.requested_at <= row.slot).values(requested_at=None))
    return QueuedRun(row.name, row.slot)


def finish_run(
    connection: Connection, name: str, slot: datetime, duration_ms: int, error: str | None
) -> None:
    """Store the result of a run."""
    is_match = (JobRunRow.name == name, JobRunRow.slot == slot)
    status = SUCCEEDED if error is None else FAILED
    statement = update(JobRunRow).where(*is_match)
    connection.execute(statement.values(status=status, duration_ms=duration_ms, error=error))


def request_run(connection: Connection, name: str, now: datetime) -> None:
    """Ask for a run of a job as soon as possible."""
    execute_writes(connection, build_insert_missing(_JOBS, ("name",), [(name,)]))
    connection.execute(update(JobRow).where(JobRow.name == name).values(requested_at=now))


def list_runs(connection: Connection, name: str, limit: int) -> list[JobRun]:
    """Return the last runs of a job, newest first."""
    return RUNS.read(connection, RUNS.select(name=name).order_by(JobRunRow.id.desc()).limit(limit))


def prune_runs(connection: Connection, name: str, kept_count: int) -> None:
    """Delete all but the last runs of a job."""
    newest = select(JobRunRow.id).where(JobRunRow.name == name).order_by(JobRunRow.id.desc())
    last = connection.execute(newest.offset(kept_count).limit(1)).scalar_one_or_none()
    if last is not None:
        connection.execute(delete(JobRunRow).where(JobRunRow.name == name, JobRunRow.id <= last))
