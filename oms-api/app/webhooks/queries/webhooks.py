"""Queries of the webhooks of a tenant."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

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


_COLUMNS = tuple(getattr(WebhookRow, name) for name in StoredWebhook._fields)


def list_webhooks(connection: Connection, tenant_id: int, owner: str | None) -> list[StoredWebhook]:
    """Return the webhooks of the tenant, or those of an owner, oldest first."""
    statement = select(*_COLUMNS).where(*_is_visible(tenant_id, owner))
    rows = connection.execute(statement.order_by(WebhookRow.created_at, WebhookRow.id))
    return [StoredWebhook._make(row) for row in rows]


def find_webhook(
    connection: Connection, tenant_id: int, owner: str | None, webhook_id: str
) -> StoredWebhook | None:
    """Return a webhook of the tenant that the owner may see. None as the owner sees all."""
    condition = (*_is_visible(tenant_id, owner), WebhookRow.id == webhook_id)
    row = connection.execute(select(*_COLUMNS).where(*condition)).one_or_none()
    return StoredWebhook._make(row) if row else None


def find_webhook_by_name(connection: Connection, tenant_id: int, name: str) -> StoredWebhook | None:
    """Return the webhook of that name."""
    condition = (WebhookRow.tenant_id == tenant_id, WebhookRow.name == name)
    row = connection.execute(select(*_COLUMNS).where(*condition)).one_or_none()
    return StoredWebhook._make(row) if row else None


def count_webhooks(connection: Connection, tenant_id: int) -> int:
    """Return the number of webhooks of the tenant."""
    statement = select(func.count()).select_from(WebhookRow).where(WebhookRow.tenant_id == tenant_id)
    return connection.execute(statement).scalar_one()


def insert_webhook(connection: Connection, webhook: StoredWebhook) -> None:
    """Insert a webhook."""
    connection.execute(insert(WebhookRow).values(**webhook._asdict()))


def update_webhook(connection: Connection, webhook: StoredWebhook, changes: dict[str, Any]) -> None:
    """Update columns of a webhook, and its version, by which the dispatcher notices the change."""
    statement = update(WebhookRow).where(
        WebhookRow.tenant_id == webhook.tenant_id, WebhookRow.id == webhook.id
    )
    connection.execute(statement.values(version=WebhookRow.version + 1, **changes))


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
