"""Statements of the dispatcher, which works for all tenants."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, cast

import orjson
from sqlalchemy import Connection, Table, func, or_, select, update

from app.database import build_update
from app.database.bulk import BulkWrite
from app.events.service.outbox import publish_event
from app.identity.models import ApiKey, Tenant
from app.timestamps import Timestamp
from app.webhooks.models import WebhookDeliveryRow, WebhookRow
from app.webhooks.rules.attempts import DeliveryStatus
from app.webhooks.rules.values import DISABLED_EVENT, Delivery, Endpoint

_DELIVERIES = cast("Table", WebhookDeliveryRow.__table__)
_WEBHOOKS = cast("Table", WebhookRow.__table__)
_ENDPOINT_COLUMNS = (
    WebhookRow.id, WebhookRow.tenant_id, WebhookRow.url, WebhookRow.event_types, WebhookRow.version,
    WebhookRow.cursor, WebhookRow.secret, WebhookRow.previous_secret, WebhookRow.previous_until,
)  # fmt: skip
_RESULT_COLUMNS = (
    "status", "attempt", "response_status", "latency_ms", "error",
    "attempts", "next_attempt_at", "completed_at",
)  # fmt: skip


class DeliveryUpdate(NamedTuple):
    """The state of a delivery after an attempt. Times are text; `attempts` is a JSON list."""

    status: str
    attempt: int
    response_status: int | None
    latency_ms: int | None
    error: str | None
    attempts: str
    next_attempt_at: Timestamp | None
    completed_at: Timestamp | None
    id: int


class Disabling(NamedTuple):
    """A webhook to disable, and why."""

    webhook_id: str
    tenant_id: int
    reason: str


def list_endpoints(connection: Connection, now: datetime) -> list[Endpoint]:
    """Return the enabled webhooks of all active tenants. The secrets are encrypted.

    The webhooks of a key that was revoked or has expired are left out.
    """
    ended_key = select(ApiKey.key_id).where(
        ApiKey.tenant_id == WebhookRow.tenant_id,
        ApiKey.name == WebhookRow.owner,
        or_(ApiKey.revoked_at.is_not(None), ApiKey.expires_at <= now),
    )
    statement = (
        select(*_ENDPOINT_COLUMNS)
        .join(Tenant, Tenant.id == WebhookRow.tenant_id)
        .where(WebhookRow.status == "enabled", Tenant.status == "active", ~ended_key.exists())
    )
    return [
        Endpoint(
            row.id, row.tenant_id, row.url, tuple(row.event_types.split()), row.version, row.cursor,
            row.secret, row.previous_secret, row.previous_until,
        )
        for row in connection.execute(statement)
    ]  # fmt: skip


class Backlog(NamedTuple):
    """The deliveries of an installation that are due: their number, the oldest, and the error of the latest.

    `endpoints` is the number of enabled webhooks, `due_count` that of due deliveries.
    """

    endpoints: int
    due_count: int
    oldest_at: datetime | None
    last_error: str | None


def read_backlog(connection: Connection, now: datetime) -> Backlog:
    """Return the backlog of all tenants that the connection sees."""
    enabled = select(func.count()).select_from(WebhookRow).where(WebhookRow.status == "enabled")
    is_pending = WebhookDeliveryRow.status == DeliveryStatus.PENDING.value
    due_deliveries = select(func.count(), func.min(WebhookDeliveryRow.next_attempt_at)).where(
        is_pending, WebhookDeliveryRow.next_attempt_at <= now
    )
    latest_error = (
        select(WebhookDeliveryRow.error)
        .where(is_pending, WebhookDeliveryRow.error.is_not(None))
        .order_by(WebhookDeliveryRow.next_attempt_at.desc())
        .limit(1)
    )
    due_count, oldest_at = connection.execute(due_deliveries).one()
    error = connection.execute(latest_error).scalar_one_or_none()
    return Backlog(connection.execute(enabled).scalar_one(), due_count, oldest_at, error)


def load_pending_deliveries(
    connection: Connection, webhook_ids: Sequence[str], limit: int
) -> dict[str, list[Delivery]]:
    """Return the pending deliveries by webhook, in the order of their events, and up to `limit` of each."""
    row_class = WebhookDeliveryRow
    rank = func.row_number().over(
        partition_by=row_class.webhook_id, order_by=(row_class.event_number, row_class.id)
    )
    ranked_deliveries = (
        select(
            row_class.id,
            row_class.webhook_id,
            row_class.tenant_id,
            row_class.event_number,
            row_class.subject,
            row_class.attempt,
            row_class.next_attempt_at,
            row_class.attempts,
            rank.label("place"),
        )
        .where(row_class.webhook_id.in_(webhook_ids), row_class.status == DeliveryStatus.PENDING.value)
        .subquery()
    )
    statement = select(ranked_deliveries).where(ranked_deliveries.c.rank <= limit)
    deliveries_by_webhook: dict[str, list[Delivery]] = {}
    for row in connection.execute(
        statement.order_by(ranked_deliveries.c.event_number, ranked_deliveries.c.id)
    ):
        deliveries_by_webhook.setdefault(row.webhook_id, []).append(
            Delivery(
                row.id, row.webhook_id, row.tenant_id, row.event_number, row.subject, row.attempt,
                row.next_attempt_at, orjson.loads(row.attempts),
            )
        )  # fmt: skip
    return deliveries_by_webhook


def build_cursor_updates(cursors: Sequence[tuple[int, str]]) -> BulkWrite:
    """Store cursors, each (number of an event, id of a webhook)."""
    return build_update(_WEBHOOKS, ("cursor",), ("id",), cursors)


def build_delivery_updates(updates: Sequence[DeliveryUpdate]) -> BulkWrite:
    """Store the results of attempts."""
    return build_update(_DELIVERIES, _RESULT_COLUMNS, ("id",), updates)


def disable_webhook(connection: Connection, disabling: Disabling, now: datetime) -> None:
    """Disable a webhook and record the event. Nothing happens if it is not enabled."""
    columns = (WebhookRow.name, WebhookRow.url)
    statement = (
        update(WebhookRow)
        .where(WebhookRow.id == disabling.webhook_id, WebhookRow.status == "enabled")
        .values(
            status="disabled",
            disabled_reason=disabling.reason,
            updated_at=now,
            version=WebhookRow.version + 1,
        )
        .returning(*columns)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return
    payload = {"webhook_id": disabling.webhook_id, "name": row.name, "reason": disabling.reason}
    publish_event(connection, disabling.tenant_id, DISABLED_EVENT, payload, now)
