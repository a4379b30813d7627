"""The queries and writes of the dispatcher, for all tenants. Its functions block."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine, text

from app.database import execute_writes, set_tenant_scope, unit_of_work
from app.events.queries import (
    EventFilter,
    EventPage,
    StoredEvent,
    list_events_after,
    list_events_of_tenants,
    load_events_by_number,
    read_outbox_state,
)
from app.events.rules import EVENT_ID_KIND, OutboxState
from app.events.schemas import serialize_event
from app.http.opaque_ids import OpaqueIds
from app.timestamps import format_optional_timestamp, format_timestamp
from app.webhooks.queries import dispatch_statements
from app.webhooks.queries.deliveries import NewDelivery, insert_deliveries
from app.webhooks.queries.dispatch_statements import CursorUpdate, DeliveryUpdate, Disabling
from app.webhooks.rules.values import ALL_TYPES, Delivery, Endpoint, OutgoingEvent, get_subject

PAGE_ROWS = 500


class DispatchChanges(NamedTuple):
    """Changes to store in one transaction: results, new deliveries, and cursors of endpoints."""

    updates: Sequence[DeliveryUpdate] = ()
    disablings: Sequence[Disabling] = ()
    deliveries: Sequence[tuple[Endpoint, OutgoingEvent]] = ()
    cursors: Sequence[CursorUpdate] = ()


class DispatchStore:
    """Reads events, endpoints and deliveries of all tenants, and stores results."""

    def __init__(self, engine: Engine, opaque_ids: OpaqueIds) -> None:
        self._engine, self._statements = engine, engine
        if engine.dialect.name == "postgresql":  # see `read_outbox_state`
            self._statements = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._opaque_ids = opaque_ids
        self._tenant_ids: list[int] = []

    def list_endpoints(self, now: datetime) -> list[Endpoint]:
        """Return the enabled webhooks. The secrets are encrypted."""
        with self._engine.connect() as connection:
            self._tenant_ids = list(connection.execute(text("SELECT id FROM tenants")).scalars())
            return dispatch_statements.list_endpoints(self._set_scope(connection), now)

    def load_pending_deliveries(self, webhook_ids: Sequence[str], limit: int) -> dict[str, list[Delivery]]:
        """Return the pending deliveries by webhook, without their events, and up to `limit` of each."""
        with self._engine.connect() as connection:
            return dispatch_statements.load_pending_deliveries(
                self._set_scope(connection), webhook_ids, limit
            )

    def read_outbox_state(self, horizon: int) -> OutboxState | None:
        """Read the end of all events. None if there is no event after `horizon`."""
        with self._statements.connect() as connection:
            return read_outbox_state(self._set_scope(connection), None, horizon)

    def list_new_events(self, tenant_ids: set[int], after: int, horizon: int) -> EventPage:
        """Return a page of the events of these tenants."""
        with self._engine.connect() as connection:
            set_tenant_scope(connection, tenant_ids)
            return list_events_of_tenants(connection, tenant_ids, after, horizon, PAGE_ROWS)

    def list_missed_events(
        self, endpoint: Endpoint, after: int, horizon: int, limit: int
    ) -> list[StoredEvent]:
        """Return the events of an endpoint that the other endpoints have passed already."""
        filters = EventFilter(None if ALL_TYPES in endpoint.event_types else endpoint.event_types)
        with self._engine.connect() as connection:
            set_tenant_scope(connection, [endpoint.tenant_id])
            return list_events_after(connection, endpoint.tenant_id, filters, after, horizon, limit)

    def load_events(self, deliveries: Sequence[Delivery]) -> dict[tuple[int, int], OutgoingEvent]:
        """Return the events of deliveries, by tenant and number."""
        numbers: dict[int, set[int]] = {}
        for delivery in deliveries:
            numbers.setdefault(delivery.tenant_id, set()).add(delivery.event_number)
        events = {}
        with self._engine.connect() as connection:
            self._set_scope(connection)
            for tenant_id, event_numbers in numbers.items():
                for event in load_events_by_number(connection, tenant_id, event_numbers):
                    events[tenant_id, event.number] = self.build_outgoing_event(tenant_id, event)
        return events

    def build_outgoing_event(self, tenant_id: int, event: StoredEvent) -> OutgoingEvent:
        """Return an event as it is sent."""
        opaque_id = self._opaque_ids.encode(tenant_id, EVENT_ID_KIND, event.number)
        serialized_event: dict[str, Any] = serialize_event(event, opaque_id)
        subject = get_subject(event.type, serialized_event["data"])[:300]
        return OutgoingEvent(
            event.number, tenant_id, event.type, opaque_id, subject, orjson.dumps(serialized_event)
        )

    def save_changes(self, changes: DispatchChanges, now: datetime) -> list[Delivery]:
        """Store everything in one transaction. Return the new deliveries, in the given order."""
        rows = [
            NewDelivery(endpoint.tenant_id, endpoint.id, event.number, event.type, event.subject)
            for endpoint, event in changes.deliveries
        ]
        with unit_of_work(self._engine) as connection:
            self._set_scope(connection)
            execute_writes(
                connection,
                dispatch_statements.build_delivery_updates(changes.updates),
                dispatch_statements.build_cursor_updates(changes.cursors),
            )
            ids = insert_deliveries(connection, rows, now) if rows else []
            for disabling in changes.disablings:
                dispatch_statements.disable_webhook(connection, disabling, now)
        return [
            Delivery(new_id, endpoint.id, endpoint.tenant_id, event.number, event.subject, 0, now, [], event)
            for new_id, (endpoint, event) in zip(ids, changes.deliveries, strict=True)
        ]

    def _set_scope(self, connection: Connection) -> Connection:
        return set_tenant_scope(connection, self._tenant_ids)


def build_update(
    delivery: Delivery, status: str, result: tuple[int | None, int, str | None], completed_at: datetime | None
) -> DeliveryUpdate:
    """Return the row of a delivery after an attempt. `result` is (response status, latency in ms, error)."""
    pending_until = None if completed_at else format_timestamp(delivery.next_attempt_at)
    history = orjson.dumps(delivery.history).decode()
    completed_text = format_optional_timestamp(completed_at)
    return DeliveryUpdate(
        status, delivery.attempt, *result, history, pending_until, completed_text, delivery.id
    )
