"""Queries of the outbox.

They read events up to the horizon: a number below which no transaction can add an event. So none is skipped.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, text

from app.events.models import Event
from app.events.rules import (
    MAX_EVENTS_IN_ROW,
    PACKED_TYPES,
    OutboxState,
    get_event_number,
    get_row_id,
    is_requested,
    unpack_outbox_events,
)

# A transaction's own number is above those of all transactions that were running. The snapshot's xmax is not:
# it is one above the highest that has ended.
_NUMBERS_QUERY = text(
    "SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint), "
    "CAST(CAST(pg_current_xact_id() AS text) AS bigint)"
)


_CHUNK_OPTIONS = {"yield_per": 5_000}


class StoredEvent(NamedTuple):
    """A stored event. `payload` is JSON text, `number` its position in the outbox."""

    number: int
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
    """Return a query of the tenant's rows, which other queries extend."""
    columns: tuple[Any, ...] = (Event.id, Event.type, Event.payload, Event.following, Event.created_at)
    return select(*columns).where(Event.tenant_id == tenant_id)


def read_outbox_state(
    connection: Connection, tenant_id: int | None, known_number: int = 0
) -> OutboxState | None:
    """Read the end of the tenant's events, or without a tenant of all events, then the running transactions.

    Return None if there is no event after `known_number`. Call it outside a transaction, since each
    statement needs its own snapshot.
    """
    statement = select(func.max(Event.id))
    if tenant_id is not None:
        statement = statement.where(Event.tenant_id == tenant_id)
    last = connection.execute(statement).scalar_one()
    highest = get_event_number(last or 0, MAX_EVENTS_IN_ROW - 1)
    if last is None or highest <= known_number:
        return None
    if connection.dialect.name == "sqlite":  # SQLite has one writer at a time, so ids are in commit order
        return OutboxState(highest, 0, 0)
    return OutboxState(highest, *connection.execute(_NUMBERS_QUERY).one())


def list_events_after(
    connection: Connection, tenant_id: int, filters: EventFilter, after: int, horizon: int, limit: int
) -> list[StoredEvent]:
    """Return events in order, with numbers after `after` and up to `horizon`."""
    statement = select_events(tenant_id).where(
        Event.id >= get_row_id(after), Event.id <= get_row_id(horizon), *_build_conditions(filters)
    )
    rows = connection.execute(statement.order_by(Event.id).limit(limit + 1))
    events = (
        stored_event
        for row in rows
        for stored_event in _list_events_of_row(row, filters)
        if after < stored_event.number <= horizon
    )
    return list(islice(events, limit))


class EventPage(NamedTuple):
    """Events of several tenants in order, each with its tenant, and the number up to which they were read."""

    events: list[tuple[int, StoredEvent]]
    position: int


def list_events_of_tenants(
    connection: Connection, tenant_ids: Collection[int], after: int, horizon: int, max_rows: int
) -> EventPage:
    """Return the tenants' events after `after` and up to `horizon`, from at most `max_rows` rows."""
    statement = (
        select(Event.id, Event.tenant_id, Event.type, Event.payload, Event.following, Event.created_at)
        .where(
            Event.id >= get_row_id(after), Event.id <= get_row_id(horizon), Event.tenant_id.in_(tenant_ids)
        )
        .order_by(Event.id)
        .limit(max_rows)
    )
    rows = connection.execute(statement).all()
    events = [
        (row.tenant_id, event)
        for row in rows
        for event in _list_events_of_row(row, EventFilter())
        if after < event.number <= horizon
    ]
    if len(rows) < max_rows:
        return EventPage(events, horizon)
    return EventPage(events, min(horizon, get_event_number(rows[-1].id, MAX_EVENTS_IN_ROW - 1)))


def load_last_number(connection: Connection, tenant_id: int, type_: str) -> int:
    """Return the number of the tenant's last event of a type that has a separate row."""
    statement = select(func.max(Event.id)).where(Event.tenant_id == tenant_id, Event.type == type_)
    return get_event_number(connection.execute(statement).scalar_one())


def load_events_by_number(
    connection: Connection, tenant_id: int, numbers: Collection[int]
) -> list[StoredEvent]:
    """Return the tenant's events with these numbers."""
    statement = select_events(tenant_id).where(Event.id.in_({get_row_id(number) for number in numbers}))
    events = (
        event for row in connection.execute(statement) for event in _list_events_of_row(row, EventFilter())
    )
    return [event for event in events if event.number in numbers]


def list_events(
    connection: Connection, tenant_id: int, filters: EventFilter, below: int, limit: int
) -> list[StoredEvent]:
    """Return events with numbers below `below`, newest first."""
    statement = select_events(tenant_id).where(Event.id <= get_row_id(below), *_build_conditions(filters))
    rows = connection.execute(statement.order_by(Event.id.desc()).limit(limit + 1))
    events = (
        stored_event
        for row in rows
        for stored_event in reversed(_list_events_of_row(row, filters))
        if stored_event.number < below
    )
    return list(islice(events, limit))


def iterate_events(
    connection: Connection, types: Sequence[str], order: Sequence[Any] = ()
) -> Iterator[tuple[int, int, str, str, Any]]:
    """Yield row id, tenant id, type, payload and time of all events of the types, for the verification.

    `order` sorts the rows. The time has the driver's type.
    """
    columns = (Event.id, Event.tenant_id, Event.type, Event.payload, Event.created_at, Event.following)
    statement = select(*columns).where(_has_one_of(types)).order_by(*order)
    for row in connection.execute(statement, execution_options=_CHUNK_OPTIONS):
        for type_, payload in unpack_outbox_events(row.type, row.payload, row.following):
            if is_requested(type_, types):
                yield row.id, row.tenant_id, type_, payload, row.created_at


def iterate_unverified_events(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield row id and type of packed events that no other part of the verification checks."""
    statement = select(Event.id, Event.following).where(Event.following.is_not(None))
    for row_id, following in connection.execute(statement, execution_options=_CHUNK_OPTIONS):
        for kind, _ in islice(unpack_outbox_events("", "", following), 1, None):
            if not is_requested(kind, PACKED_TYPES):
                yield row_id, kind


def _list_events_of_row(row: Any, filters: EventFilter) -> list[StoredEvent]:
    return [
        StoredEvent(get_event_number(row.id, index), type_, payload, row.created_at)
        for index, (type_, payload) in enumerate(unpack_outbox_events(row.type, row.payload, row.following))
        if is_requested(type_, filters.types)
    ]


def _build_conditions(filters: EventFilter) -> list[Any]:
    conditions: list[Any] = []
    if filters.types is not None:
        conditions.append(_has_one_of(filters.types))
    if filters.since is not None:
        conditions.append(Event.created_at >= filters.since)
    if filters.until is not None:
        conditions.append(Event.created_at < filters.until)
    return conditions


def _has_one_of(types: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that a row contains an event of the types, at its start or packed after it."""
    values_by_column = [type_name for type_name in types if not type_name.endswith(".*")]
    families = [type_name.removesuffix("*") for type_name in types if type_name.endswith(".*")]
    starts = [Event.type.startswith(family, autoescape=True) for family in families]
    starts += [
        condition
        for start in (*(f"{type_name} " for type_name in values_by_column), *families)
        for condition in (
            Event.following.startswith(start, autoescape=True),
            Event.following.contains(f"\n{start}", autoescape=True),
        )
    ]
    return or_(Event.type.in_(values_by_column), *starts)
