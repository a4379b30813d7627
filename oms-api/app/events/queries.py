"""Reading the outbox. Nothing is skipped: rows are read only up to an id below which all are final."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select, text

from app.events.models import Event
from app.events.rules import Sighting

_SNAPSHOT = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(s) AS text) AS bigint), "
    "CAST(CAST(pg_snapshot_xmax(s) AS text) AS bigint) FROM pg_current_snapshot() s"
)


class StoredEvent(NamedTuple):
    """A change that was told; `payload` is JSON text."""

    id: int
    type: str
    payload: str
    created_at: datetime


class EventFilter(NamedTuple):
    """Which events. `types` are whole types ("trade.recorded") or families ("order.*"); None means all.

    `since` is inclusive, `until` exclusive.
    """

    types: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


def events_of(tenant_id: int) -> Select[Any]:
    """Return the tenant's events, for other queries to build on."""
    columns: tuple[Any, ...] = (Event.id, Event.type, Event.payload, Event.created_at)
    return select(*columns).where(Event.tenant_id == tenant_id)


def sight(connection: Connection, tenant_id: int) -> Sighting:
    """Look at the end of the tenant's events, and then at the transactions: whoever holds a lower id that
    cannot be seen yet has begun by then.
    """
    highest = connection.execute(select(func.max(Event.id)).where(Event.tenant_id == tenant_id)).scalar_one()
    xmin, xmax = 0, 0  # on SQLite one writes at a time, so that ids are in the order of commits
    if connection.dialect.name == "postgresql":
        xmin, xmax = connection.execute(_SNAPSHOT).one()
    return Sighting(highest or 0, xmin, xmax)


def events_after(
    connection: Connection, tenant_id: int, wanted: EventFilter, after: int, horizon: int, limit: int
) -> list[StoredEvent]:
    """Return events in the order of their ids, beyond `after` up to `horizon`."""
    statement = events_of(tenant_id).where(Event.id > after, Event.id <= horizon, *_conditions(wanted))
    return _read(connection, statement.order_by(Event.id).limit(limit))


def list_events(
    connection: Connection, tenant_id: int, wanted: EventFilter, below: int, limit: int
) -> list[StoredEvent]:
    """Return events newest first, those with ids below `below`."""
    statement = events_of(tenant_id).where(Event.id < below, *_conditions(wanted))
    return _read(connection, statement.order_by(Event.id.desc()).limit(limit))


def _conditions(wanted: EventFilter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.types is not None:
        conditions.append(_one_of(wanted.types))
    if wanted.since is not None:
        conditions.append(Event.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(Event.created_at < wanted.until)
    return conditions


def _one_of(types: Sequence[str]) -> Any:  # a condition
    exact = [one for one in types if not one.endswith(".*")]
    families = [one.removesuffix("*") for one in types if one.endswith(".*")]
    starts = (Event.type.startswith(family, autoescape=True) for family in families)
    return or_(Event.type.in_(exact), *starts)


def _read(connection: Connection, statement: Select[Any]) -> list[StoredEvent]:
    return [StoredEvent._make(row) for row in connection.execute(statement)]
