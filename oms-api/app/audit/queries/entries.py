"""Read the audit log and append to it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import ColumnElement, Connection, Select, Table, or_, select

from app.audit.models import AuditHead, AuditRow
from app.audit.rules.actions import AuditedAction
from app.audit.rules.chain import COLUMNS, START, ChainedEntry, Head
from app.database import build_insert, build_insert_missing, build_update, execute_writes, load_matching_rows
from app.timestamps import format_timestamp

_LOG_TABLE = cast("Table", AuditRow.__table__)
_HEADS_TABLE = cast("Table", AuditHead.__table__)
_ENTRIES_PER_FETCH = 2_000
_HEAD_COLUMNS = ("last_sequence", "last_hash")


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Filters of the list; None means all. `since` is inclusive, `until` exclusive."""

    action: str | None = None
    actor: str | None = None
    target: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def select_entries(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's entries, with the fields `COLUMNS`."""
    return select(*(getattr(AuditRow, name) for name in COLUMNS)).where(AuditRow.tenant_id == tenant_id)


def list_entries(
    connection: Connection, tenant_id: int, filters: EntryFilter, limit: int, before: int | None
) -> list[ChainedEntry]:
    """Return entries, newest first, with a sequence number below `before`."""
    statement = select_entries(tenant_id).where(*_build_conditions(filters))
    if before is not None:
        statement = statement.where(AuditRow.sequence < before)
    rows = connection.execute(statement.order_by(AuditRow.sequence.desc()).limit(limit))
    return [ChainedEntry._make(row) for row in rows]


def list_entries_between(
    connection: Connection, tenant_id: int, after: int, until: int, limit: int
) -> list[ChainedEntry]:
    """Return entries, oldest first, with a sequence number above `after` and at most `until`."""
    position = (AuditRow.sequence > after, AuditRow.sequence <= until)
    statement = select_entries(tenant_id).where(*position).order_by(AuditRow.sequence).limit(limit)
    return [ChainedEntry._make(row) for row in connection.execute(statement)]


def get_head(connection: Connection, tenant_id: int) -> Head:
    """Return the head of the tenant's audit log."""
    statement = select(AuditHead.last_sequence, AuditHead.last_hash).where(AuditHead.tenant_id == tenant_id)
    row = connection.execute(statement).one_or_none()
    return Head._make(row) if row else START


def load_heads_by_tenant(connection: Connection) -> dict[int, Head]:
    """Return the head of every audit log, by tenant. Without a stored head it is that of an empty log."""
    with_entries = connection.execute(select(AuditRow.tenant_id).distinct()).scalars()
    heads = dict.fromkeys(sorted(with_entries), START)
    statement = select(AuditHead.tenant_id, AuditHead.last_sequence, AuditHead.last_hash)
    return heads | {
        row.tenant_id: Head(row.last_sequence, row.last_hash) for row in connection.execute(statement)
    }


def iterate_entries(connection: Connection, tenant_id: int) -> Iterator[ChainedEntry]:
    """Yield the tenant's entries, oldest first, in bounded memory."""
    statement = select_entries(tenant_id).order_by(AuditRow.sequence)
    for row in connection.execute(statement, execution_options={"yield_per": _ENTRIES_PER_FETCH}):
        yield ChainedEntry._make(row)


def list_actions(connection: Connection, *prefixes: str) -> Iterator[AuditedAction]:
    """Yield entries of all tenants whose action begins with one of `prefixes`, oldest first.

    Facts that are not JSON are returned as text.
    """
    names = ("tenant_id", "sequence", "at", "actor", "via", "action", "target", "before", "after")
    condition = or_(*(AuditRow.action.startswith(prefix, autoescape=True) for prefix in prefixes))
    statement = select(*(getattr(AuditRow, name) for name in names)).where(condition)
    ordered = statement.order_by(AuditRow.tenant_id, AuditRow.sequence)
    for row in connection.execute(ordered, execution_options={"yield_per": _ENTRIES_PER_FETCH}):
        yield AuditedAction._make((*row[:-2], _parse_values(row.before), _parse_values(row.after)))


def _parse_values(text: str | None) -> Any:
    try:
        return None if text is None else orjson.loads(text)
    except ValueError:
        return text


def lock_heads(connection: Connection, tenant_ids: Iterable[int]) -> dict[int, Head]:
    """Lock the tenants' audit logs until the transaction head_rows, and return their heads.

    Missing heads are created first. All are locked in the order of tenants, so that two writers never
    deadlock.
    """
    tenants = sorted(set(tenant_ids))
    execute_writes(
        connection,
        build_insert_missing(
            _HEADS_TABLE, ("tenant_id", *_HEAD_COLUMNS), [(tenant_id, *START) for tenant_id in tenants]
        ),
    )
    keys = [(tenant_id,) for tenant_id in tenants]
    matching_rows = load_matching_rows(
        connection,
        _HEADS_TABLE,
        ("tenant_id", *_HEAD_COLUMNS),
        ("tenant_id",),
        keys,
        lock_order_column="tenant_id",
    )
    return {tenant_id: Head(*head) for tenant_id, *head in matching_rows}


def append_rows(connection: Connection, rows: Sequence[ChainedEntry], heads: dict[int, Head]) -> None:
    """Write rows and the new heads, in one round trip."""
    head_rows = [(*head, tenant_id) for tenant_id, head in heads.items()]
    execute_writes(
        connection,
        build_insert(_LOG_TABLE, COLUMNS, rows),
        build_update(_HEADS_TABLE, _HEAD_COLUMNS, ("tenant_id",), head_rows),
    )


def _build_conditions(filters: EntryFilter) -> list[ColumnElement[bool]]:
    values_by_column = {
        AuditRow.action: filters.action,
        AuditRow.actor: filters.actor,
        AuditRow.target: filters.target,
        AuditRow.request_id: filters.request_id,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in values_by_column.items() if value is not None
    ]
    if filters.since is not None:  # times are canonical text, which sorts by time
        conditions.append(AuditRow.at >= format_timestamp(filters.since))
    if filters.until is not None:
        conditions.append(AuditRow.at < format_timestamp(filters.until))
    return conditions
