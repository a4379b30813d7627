"""Queries of the webhooks of a tenant."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, select, update

from app.database import RecordTable
from app.webhooks.models import WebhookDeliveryRow, WebhookRow


class WebhookSecrets(NamedTuple):
    """The encrypted secrets of a webhook."""

    webhook_id: str
    tenant_id: int
    current: str | None
    previous: str | None


class StoredWebhook(NamedTuple):
    """A webhook. The secrets are encrypted."""

    id: str
    tenant_id: int
    name: str | None
    owner: str
    url: str
    event_types: str
    description: str | None
    status: str
    disabled_reason: str | None
    secret: str
    previous_secret: str | None
    previous_until: datetime | None
    cursor: int
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime


WEBHOOKS = RecordTable(WebhookRow, StoredWebhook)


def list_webhooks(connection: Connection, tenant_id: int, owner: str | None) -> list[StoredWebhook]:
    """Return the webhooks of the tenant, or those of an owner, oldest first."""
    query = WEBHOOKS.select().where(*_is_visible(tenant_id, owner))
    return WEBHOOKS.read(connection, query.order_by(WebhookRow.created_at, WebhookRow.id))


def find_webhook(
    connection: Connection, tenant_id: int, owner: str | None, webhook_id: str
) -> StoredWebhook | None:
    """Return a webhook of the tenant that the owner may see. None as the owner sees all."""
    return WEBHOOKS.find(connection, *_is_visible(tenant_id, owner), id=webhook_id)


def update_webhook(connection: Connection, webhook: StoredWebhook, changes: dict[str, Any]) -> None:
    """Update columns of a webhook, and its version, by which the dispatcher notices the change."""
    values = {**changes, "version": WebhookRow.version + 1}
    WEBHOOKS.update(connection, values, tenant_id=webhook.tenant_id, id=webhook.id)


def delete_webhook(connection: Connection, webhook: StoredWebhook) -> None:
    """Delete a webhook and its deliveries."""
    for model, column in ((WebhookDeliveryRow, WebhookDeliveryRow.webhook_id), (WebhookRow, WebhookRow.id)):
        connection.execute(delete(model).where(model.tenant_id == webhook.tenant_id, column == webhook.id))


def list_secrets(connection: Connection) -> list[WebhookSecrets]:
    """Return the encrypted secrets of every webhook, and lock the webhooks."""
    columns = (WebhookRow.id, WebhookRow.tenant_id, WebhookRow.secret, WebhookRow.previous_secret)
    rows = connection.execute(select(*columns).with_for_update())
    return [WebhookSecrets._make(row) for row in rows]


def update_secrets(
    connection: Connection, webhook_id: str, secret: str | None, previous_secret: str | None
) -> None:
    """Replace the encrypted secrets of a webhook."""
    values = {"secret": secret, "previous_secret": previous_secret, "version": WebhookRow.version + 1}
    connection.execute(update(WebhookRow).where(WebhookRow.id == webhook_id).values(**values))


def _is_visible(tenant_id: int, owner: str | None) -> tuple[ColumnElement[bool], ...]:
    condition = (WebhookRow.tenant_id == tenant_id,)
    return condition if owner is None else (*condition, WebhookRow.owner == owner)
