"""Queries of the deliveries of a webhook."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, update

from app.webhooks.models import IS_PENDING, WebhookDeliveryRow
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


_COLUMNS = tuple(getattr(WebhookDeliveryRow, name) for name in StoredDelivery._fields)


def count_pending_deliveries(connection: Connection) -> int:
    """Return the number of pending deliveries of all tenants in scope."""
    statement = select(func.count()).select_from(WebhookDeliveryRow).where(IS_PENDING)
    return int(connection.execute(statement).scalar_one())


def list_deliveries(
    connection: Connection, tenant_id: int, webhook_id: str, below: int | None, limit: int
) -> list[StoredDelivery]:
    """Return the deliveries of a webhook with ids below `below`, newest first."""
    statement = select(*_COLUMNS).where(
        WebhookDeliveryRow.tenant_id == tenant_id, WebhookDeliveryRow.webhook_id == webhook_id
    )
    if below is not None:
        statement = statement.where(WebhookDeliveryRow.id < below)
    rows = connection.execute(statement.order_by(WebhookDeliveryRow.id.desc()).limit(limit))
    return [StoredDelivery._make(row) for row in rows]


def find_delivery(
    connection: Connection, tenant_id: int, webhook_id: str, delivery_id: int
) -> StoredDelivery | None:
    """Return a delivery of a webhook."""
    condition = (
        WebhookDeliveryRow.tenant_id == tenant_id,
        WebhookDeliveryRow.webhook_id == webhook_id,
        WebhookDeliveryRow.id == delivery_id,
    )
    row = connection.execute(select(*_COLUMNS).where(*condition)).one_or_none()
    return StoredDelivery._make(row) if row else None


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
    condition = (
        WebhookDeliveryRow.tenant_id == tenant_id,
        WebhookDeliveryRow.webhook_id == webhook_id,
        WebhookDeliveryRow.status == DeliveryStatus.PENDING.value,
        WebhookDeliveryRow.next_attempt_at > now,
    )
    connection.execute(update(WebhookDeliveryRow).where(*condition).values(next_attempt_at=now))


def restart_attempts(connection: Connection, tenant_id: int, webhook_id: str, now: datetime) -> None:
    """Let the pending deliveries of a webhook be sent now, as if for the first time."""
    condition = (
        WebhookDeliveryRow.tenant_id == tenant_id,
        WebhookDeliveryRow.webhook_id == webhook_id,
        WebhookDeliveryRow.status == DeliveryStatus.PENDING.value,
    )
    connection.execute(update(WebhookDeliveryRow).where(*condition).values(next_attempt_at=now, attempt=0))


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
