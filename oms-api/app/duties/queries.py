"""Statements about duties. The table has no tenant."""

from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, Table, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.database import RecordTable, build_insert_missing, execute_writes
from app.duties.models import DutyRow, DutyRunRow
from app.duties.rules.schedule import DutyState

_DUTIES = cast("Table", DutyRow.__table__)
_RUNS = cast("Table", DutyRunRow.__table__)
RUNNING, SUCCEEDED, FAILED = "running", "succeeded", "failed"
QUEUED = "queue"  # the holder of a run that no process has started


class DutyRun(NamedTuple):
    """A run of a duty, of one slot or of a request. `holder` is "host:process id:random"."""

    slot: datetime
    status: str
    started_at: datetime
    duration_ms: int | None
    error: str | None
    holder: str


RUNS = RecordTable(DutyRunRow, DutyRun)
DUTIES = RecordTable(DutyRow, DutyState)


def list_duties(connection: Connection) -> list[DutyState]:
    """Return the state of all duties that ever ran, by name."""
    return DUTIES.read(connection, DUTIES.select().order_by(DutyRow.name))


def mark_state(connection: Connection, name: str, now: datetime, *, is_on: bool) -> bool:
    """Store a state that a duty has found, in a row of that name. Return whether it has changed."""
    execute_writes(connection, build_insert_missing(_DUTIES, ("name",), [(name,)]))
    is_other = DutyRow.holder.is_(None) if is_on else DutyRow.holder.is_not(None)
    values = {"holder": "on" if is_on else None, "started_at": now}
    statement = update(DutyRow).where(DutyRow.name == name, is_other).values(**values)
    return connection.execute(statement).rowcount == 1


def is_leased(connection: Connection, name: str, now: datetime) -> bool:
    """Return whether a process holds the lease of a duty."""
    statement = select(DutyRow.name).where(DutyRow.name == name, DutyRow.leased_until > now)
    return connection.execute(statement).first() is not None


def acquire_lease(
    connection: Connection, name: str, holder: str, slot: datetime, now: datetime, until: datetime
) -> bool:
    """Take a lease as `acquire_slot` does, and return whether that succeeded."""
    return acquire_slot(connection, name, holder, slot, now, until) is not None


def acquire_slot(
    connection: Connection, name: str, holder: str, slot: datetime, now: datetime, until: datetime
) -> datetime | None:
    """Take the lease of a duty that did not start since `slot`, or whose run was requested.

    Return the slot to run: the time of the request, if there is one. Return None without the lease.
    """
    execute_writes(connection, build_insert_missing(_DUTIES, ("name",), [(name,)]))
    requested = select(DutyRow.requested_at).where(DutyRow.name == name).with_for_update()
    requested_at = connection.execute(requested).scalar_one()
    is_free = or_(DutyRow.leased_until.is_(None), DutyRow.leased_until <= now)
    is_new = or_(DutyRow.started_at.is_(None), DutyRow.started_at < slot, DutyRow.requested_at.is_not(None))
    statement = update(DutyRow).where(DutyRow.name == name, is_free, is_new)
    values = {"holder": holder, "leased_until": until, "started_at": now, "requested_at": None}
    is_mine = connection.execute(statement.values(**values)).rowcount == 1
    return (requested_at or slot) if is_mine else None


def drop_lease(connection: Connection, name: str, holder: str) -> None:
    """End a lease under which nothing ran."""
    is_mine = (DutyRow.name == name, DutyRow.holder == holder)
    connection.execute(update(DutyRow).where(*is_mine).values(leased_until=None))


def renew_lease(connection: Connection, name: str, holder: str, until: datetime) -> bool:
    """Extend the lease. Return False if another process holds it now."""
    is_mine = (DutyRow.name == name, DutyRow.holder == holder, DutyRow.leased_until.is_not(None))
    return connection.execute(update(DutyRow).where(*is_mine).values(leased_until=until)).rowcount == 1


def release_lease(
    connection: Connection, name: str, holder: str, now: datetime, duration_ms: int, error: str | None
) -> None:
    """Record the end of a run. Nothing happens if another process took the lease meanwhile."""
    is_mine = (DutyRow.name == name, DutyRow.holder == holder, DutyRow.leased_until.is_not(None))
    values: dict[str, object] = {"leased_until": None, "duration_ms": duration_ms, "error": error}
    if error is None:
        values["finished_at"] = now
    connection.execute(update(DutyRow).where(*is_mine).values(**values))


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
    if insert_run(connection, name, slot, QUEUED, now):
        is_to_send = DutyRunRow.holder == QUEUED
    else:
        is_to_send = and_(DutyRunRow.holder == QUEUED, DutyRunRow.started_at < sent_before)
    is_match = (DutyRunRow.name == name, DutyRunRow.slot == slot, DutyRunRow.status == RUNNING)
    run_id = connection.execute(select(DutyRunRow.id).where(*is_match, is_to_send)).scalar_one_or_none()
    if run_id is not None:
        connection.execute(update(DutyRunRow).where(DutyRunRow.id == run_id).values(started_at=now))
    return run_id


def start_queued_run(
    connection: Connection, run_id: int, holder: str, now: datetime, until: datetime
) -> QueuedRun | None:
    """Take the lease of the duty of a stored run, and start the run.

    Return None if it has finished, or another process has the lease.
    """
    started = update(DutyRunRow).where(DutyRunRow.id == run_id, DutyRunRow.status == RUNNING)
    row = connection.execute(
        select(DutyRunRow.name, DutyRunRow.slot).where(DutyRunRow.id == run_id)
    ).one_or_none()
    if row is None:
        return None
    execute_writes(connection, build_insert_missing(_DUTIES, ("name",), [(row.name,)]))
    is_free = or_(DutyRow.leased_until.is_(None), DutyRow.leased_until <= now)
    leased = update(DutyRow).where(DutyRow.name == row.name, is_free).values(leased_until=until)
    if connection.execute(leased).rowcount != 1:
        return None
    is_mine = update(DutyRow).where(DutyRow.name == row.name)
    if connection.execute(started.values(holder=holder, started_at=now)).rowcount != 1:
        connection.execute(is_mine.values(leased_until=None))
        return None
    connection.execute(is_mine.values(holder=holder, started_at=now))
    connection.execute(is_mine.where(DutyRow.requested_at <= row.slot).values(requested_at=None))
    return QueuedRun(row.name, row.slot)


def finish_run(
    connection: Connection, name: str, slot: datetime, duration_ms: int, error: str | None
) -> None:
    """Store the result of a run."""
    is_match = (DutyRunRow.name == name, DutyRunRow.slot == slot)
    status = SUCCEEDED if error is None else FAILED
    statement = update(DutyRunRow).where(*is_match)
    connection.execute(statement.values(status=status, duration_ms=duration_ms, error=error))


def request_run(connection: Connection, name: str, now: datetime) -> None:
    """Ask for a run of a duty as soon as possible."""
    execute_writes(connection, build_insert_missing(_DUTIES, ("name",), [(name,)]))
    connection.execute(update(DutyRow).where(DutyRow.name == name).values(requested_at=now))


def list_runs(connection: Connection, name: str, limit: int) -> list[DutyRun]:
    """Return the last runs of a duty, newest first."""
    return RUNS.read(connection, RUNS.select(name=name).order_by(DutyRunRow.id.desc()).limit(limit))


def prune_runs(connection: Connection, name: str, kept_count: int) -> None:
    """Delete all but the last runs of a duty."""
    newest = select(DutyRunRow.id).where(DutyRunRow.name == name).order_by(DutyRunRow.id.desc())
    last = connection.execute(newest.offset(kept_count).limit(1)).scalar_one_or_none()
    if last is not None:
        connection.execute(delete(DutyRunRow).where(DutyRunRow.name == name, DutyRunRow.id <= last))
