"""Statements about duties. The table has no tenant."""

from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Table, or_, select, update

from app.database import build_insert_missing, write
from app.duties.models import DutyRow
from app.duties.rules.schedule import DutyState

_DUTIES = cast("Table", DutyRow.__table__)
_STATE = tuple(getattr(DutyRow, name) for name in DutyState._fields)


def list_duties(connection: Connection) -> list[DutyState]:
    """Return the state of all duties that ever ran, by name."""
    return [DutyState._make(row) for row in connection.execute(select(*_STATE).order_by(DutyRow.name))]


def mark_state(connection: Connection, name: str, now: datetime, *, is_on: bool) -> bool:
    """Store a state that a duty has found, in a row of that name. Return whether it has changed."""
    write(connection, build_insert_missing(_DUTIES, ("name",), [(name,)]))
    is_other = DutyRow.holder.is_(None) if is_on else DutyRow.holder.is_not(None)
    values = {"holder": "on" if is_on else None, "started_at": now}
    return (
        connection.execute(update(DutyRow).where(DutyRow.name == name, is_other).values(**values)).rowcount
        == 1
    )


def is_leased(connection: Connection, name: str, now: datetime) -> bool:
    """Return whether a process holds the lease of a duty."""
    statement = select(DutyRow.name).where(DutyRow.name == name, DutyRow.leased_until > now)
    return connection.execute(statement).first() is not None


def acquire_lease(
    connection: Connection, name: str, holder: str, slot: datetime, now: datetime, until: datetime
) -> bool:
    """Take the lease of a duty that did not start since `slot`. Return whether that succeeded."""
    write(connection, build_insert_missing(_DUTIES, ("name",), [(name,)]))
    is_free = or_(DutyRow.leased_until.is_(None), DutyRow.leased_until <= now)
    is_new = or_(DutyRow.started_at.is_(None), DutyRow.started_at < slot)
    statement = update(DutyRow).where(DutyRow.name == name, is_free, is_new)
    result = connection.execute(statement.values(holder=holder, leased_until=until, started_at=now))
    return result.rowcount == 1


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
