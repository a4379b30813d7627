"""Queries of the outbox.

They read up to an id below which no transaction can add a row, so that none is skipped.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select, text

from app.events.models import Event
from app.events.rules import Sighting

# A transaction's own number is above those of all transactions that were running. The snapshot's xmax is not:
# it is one above the highest that has ended.
_NUMBERS = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint), "
    "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
)


class StoredEvent(NamedTuple):
    """A stored event. `payload` is JSON text."""

    id: int
    type: str
    payload: str
    created_at: datetime


class EventFilter(NamedTuple):
    """Filters of events; None means all.

    `types` holds whole types ("trade.recorded") or families ("order.*"). `since` is inclusive, `until`
    exclusive.
    """

    types: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


def select_events(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's events, for other queries to extend."""
    columns: tuple[Any, ...] = (Event.id, Event.type, Event.payload, Event.created_at)
    return select(*columns).where(Event.tenant_id == tenant_id)


def read_sighting(connection: Connection, tenant_id: int, known: int = 0) -> Sighting | None:
    """Read the end of the tenant's events, and then the running transactions.

    Return None if there is no event after `known`. Call it outside a transaction, since each statement needs
    its own snapshot.
    """
    highest = connection.execute(select(func.max(Event.id)).where(Event.tenant_id == tenant_id)).scalar_one()
    if (highest or 0) <= known:
        return None
    if connection.dialect.name == "sqlite":  # SQLite has one writer at a time, so ids are in commit order
        return Sighting(highest, 0, 0)
    return Sighting(highest, *connection.execute(_NUMBERS).one())


def list_events_after(
    connection: Connection, tenant_id: int, filters: EventFilter, after: int, horizon: int, limit: int
) -> list[StoredEvent]:
    """Return events in id order, after `after` and up to `horizon`."""
    statement = select_events(tenant_id).where(Event.id > after, Event.id <= horizon, *_conditions(filters))
    return _read(connection, statement.order_by(Event.id).limit(limit))


def list_events(
    connection: Connection, tenant_id: int, filters: EventFilter, below: int, limit: int
) -> list[StoredEvent]:
    """Return events with ids below `below`, newest first."""
    statement = select_events(tenant_id).where(Event.id < below, *_conditions(filters))
    return _read(connection, statement.order_by(Event.id.desc()).limit(limit))


def _conditions(filters: EventFilter) -> list[Any]:
    conditions: list[Any] = []
    if filters.types is not None:
        conditions.append(_one_of(filters.types))
    if filters.since is not None:
        conditions.append(Event.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(Event.created_at < filters.until)
    return conditions


def _one_of(types: Sequence[str]) -> Any:  # a SQL condition
    exact = [one for one in types if not one.endswith(".*")]
    families = [one.removesuffix("*") for one in types if one.endswith(".*")]
    starts = (Event.type.startswith(family, autoescape=True) for family in families)
    return or_(Event.type.in_(exact), *starts)


def _read(connection: Connection, statement: Select[Any]) -> list[StoredEvent]:
    return [StoredEvent._make(row) for row in connection.execute(statement)]
