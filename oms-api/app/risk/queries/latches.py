"""Read and write latches."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Table, func, select, update

from app.column_values import convert_instant
from app.database import build_insert
from app.database.bulk import BulkWrite
from app.risk.models import IS_ACTIVE, LatchRow
from app.risk.rules.latches import Latch, LatchScope, LatchSubject
from app.timestamps import Timestamp

LATCHES = cast("Table", LatchRow.__table__)
_COLUMNS = (
    "id", "scope", "name", "symbol", "executions", "most", "set_at",
    "released_at", "released_by", "reason",
)  # fmt: skip
_PICKED = [LATCHES.c[name] for name in _COLUMNS]

ActiveLatches = dict[LatchSubject, Latch]


def list_active_latches(connection: Connection, tenant_ids: Iterable[int]) -> dict[int, ActiveLatches]:
    """Return the active latches by tenant, by one statement."""
    active_latches: dict[int, ActiveLatches] = {tenant_id: {} for tenant_id in tenant_ids}
    statement = select(LATCHES.c.tenant_id, *_PICKED).where(
        LATCHES.c.tenant_id.in_(sorted(active_latches)), IS_ACTIVE
    )
    for tenant_id, *row in connection.execute(statement):
        latch = _parse_latch(row)
        active_latches[tenant_id][latch.subject] = latch
    return active_latches


def find_release_time(connection: Connection, tenant_id: int, subject: LatchSubject) -> Timestamp | None:
    """Return when a latch of the subject was last released, None if there was none."""
    statement = select(func.max(LATCHES.c.released_at)).where(
        LATCHES.c.tenant_id == tenant_id, *_build_subject_conditions(subject)
    )
    released_at: Timestamp | None = convert_instant(connection.execute(statement).scalar_one())
    return released_at


def build_latch_insert(tenant_id: int, latch: Latch) -> BulkWrite:
    """Return the statement that inserts a latch. It fails if the subject has an active one."""
    row = (tenant_id, latch.id, *latch.subject, latch.executions, latch.max_executions, latch.set_at)
    return build_insert(LATCHES, ("tenant_id", *_COLUMNS[:7]), [row])


def list_latches(
    connection: Connection, tenant_id: int, count: int, before: str | None, is_active: bool | None
) -> list[Latch]:
    """Return latches, newest first, before the id `before`. `is_active` None returns all."""
    statement = select(*_PICKED).where(LATCHES.c.tenant_id == tenant_id)
    if before is not None:
        statement = statement.where(LATCHES.c.id < before)
    if is_active is not None:
        statement = statement.where(LATCHES.c.released_at.is_(None) == is_active)
    rows = connection.execute(statement.order_by(LATCHES.c.id.desc()).limit(count))
    return [_parse_latch(row) for row in rows]


def find_latch(connection: Connection, tenant_id: int, latch_id: str) -> Latch | None:
    """Return a latch, locked until the transaction ends, None if there is none."""
    statement = select(*_PICKED).where(LATCHES.c.tenant_id == tenant_id, LATCHES.c.id == latch_id)
    row = connection.execute(statement.with_for_update()).one_or_none()
    return _parse_latch(row) if row else None


def release_latch(connection: Connection, tenant_id: int, latch: Latch) -> None:
    """Store when, by whom and why a latch was released."""
    release = {
        "released_at": None if latch.released_at is None else datetime.fromisoformat(latch.released_at),
        "released_by": latch.released_by,
        "reason": latch.reason,
    }
    conditions = (LATCHES.c.tenant_id == tenant_id, LATCHES.c.id == latch.id)
    connection.execute(update(LATCHES).where(*conditions).values(**release))


def _build_subject_conditions(subject: LatchSubject) -> tuple[Any, ...]:
    return tuple(LATCHES.c[name] == value for name, value in subject._asdict().items())


def _parse_latch(row: Sequence[Any]) -> Latch:
    latch_id, scope, name, symbol, executions, max_executions, set_at, released_at, released_by, reason = row
    subject = LatchSubject(LatchScope(scope), name, symbol)
    return Latch(
        id=latch_id,
        subject=subject,
        executions=executions,
        max_executions=max_executions,
        set_at=convert_instant(set_at),
        released_at=convert_instant(released_at),
        released_by=released_by,
        reason=reason,
    )
