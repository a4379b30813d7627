"""Queries of the deliveries of a webhook."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from app.database import RecordTable
from app.webhooks.models import WebhookDeliveryRow
from app.webhooks.rules.attempts import DeliveryStatus


class StoredDelivery(NamedTuple):
    """A delivery. `attempts` is a JSON list."""

    id: int
    tenant_id: int
    webhook_id: str
    event_number: int
    event_type: str
    subject: str
    status: str
    attempt: int
    response_status: int | None
    latency_ms: int | None
    error: str | None
    attempts: str
    next_attempt_at: datetime | None
    created_at: datetime
    completed_at: datetime | None


class NewDelivery(NamedTuple):
    """A delivery to insert."""

    tenant_id: int
    webhook_id: str
    event_number: int
    event_type: str
    subject: str


DELIVERIES = RecordTable(WebhookDeliveryRow, StoredDelivery)


def list_deliveries(
    connection: Connection, tenant_id: int, webhook_id: str, below: int | None, limit: int
) -> list[StoredDelivery]:
    """Return the deliveries of a webhook with ids below `below`, newest first."""
    query = DELIVERIES.select(tenant_id=tenant_id, webhook_id=webhook_id)
    if below is not None:
        query = query.where(WebhookDeliveryRow.id < below)
    return DELIVERIES.read(connection, query.order_by(WebhookDeliveryRow.id.desc()).limit(limit))


def insert_deliveries(connection: Connection, deliveries: list[NewDelivery], now: datetime) -> list[int]:
    """Insert deliveries that are due now, and return their ids in the same order."""
    common = {
        "status": DeliveryStatus.PENDING.value,
        "attempt": 0,
        "attempts": "[]",
        "next_attempt_at": now,
        "created_at": now,
    }
    rows = [{**delivery._asdict(), **common} for delivery in deliveries]
    statement = insert(WebhookDeliveryRow).returning(WebhookDeliveryRow.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def make_due(connection: Connection, tenant_id: int, webhook_id: str, now: datetime) -> None:
    """Let the pending deliveries of a webhook be sent now."""
    statement = update(WebhookDeliveryRow).where(WebhookDeliveryRow.next_attempt_at > now)
    pending = statement.filter_by(
        tenant_id=tenant_id, webhook_id=webhook_id, status=DeliveryStatus.PENDING.value
    )
    connection.execute(pending.values(next_attempt_at=now))


def restart_attempts(connection: Connection, tenant_id: int, webhook_id: str, now: datetime) -> None:
    """Let the pending deliveries of a webhook be sent now, as if for the first time."""
    changes, pending = {"next_attempt_at": now, "attempt": 0}, DeliveryStatus.PENDING.value
    DELIVERIES.update(connection, changes, tenant_id=tenant_id, webhook_id=webhook_id, status=pending)


def delete_completed_deliveries(connection: Connection, before: datetime, limit: int) -> int:
    """Delete deliveries that were completed before an instant. Return their number."""
    old_deliveries = (
        select(WebhookDeliveryRow.id)
        .where(WebhookDeliveryRow.completed_at < before)
        .order_by(WebhookDeliveryRow.completed_at)
        .limit(limit)
    )
    return connection.execute(
        delete(WebhookDeliveryRow).where(WebhookDeliveryRow.id.in_(old_deliveries))
    ).rowcount
