"""Create, change and delete the webhooks of a tenant, each in one transaction with its audit entry."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.audit.rules.entries import AuditValues
from app.encryption import EncryptionKeys
from app.identity.rules.access import Caller, Scope
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.timestamps import format_optional_timestamp, format_timestamp
from app.webhooks.errors import NoSuchWebhook, TooManyWebhooks, UrlNotAllowed, WebhookNameTaken
from app.webhooks.queries import deliveries
from app.webhooks.queries import webhooks as queries
from app.webhooks.queries.webhooks import WEBHOOKS, StoredWebhook
from app.webhooks.rules.addresses import AddressPolicy, find_url_problem
from app.webhooks.rules.signatures import SECRET_BYTES, format_secret
from app.webhooks.rules.values import NewWebhook

MAX_WEBHOOKS = 100  # per tenant
_AUDITED_FIELDS = ("url", "event_types", "description")


def get_owner(caller: Caller) -> str | None:
    """Return the owner whose webhooks the caller manages. None: all of the tenant."""
    return None if Scope.ADMIN in caller.scopes else caller.name


def get_secret_context(tenant_id: int, webhook_id: str) -> str:
    """Return the context to which the encrypted secrets of a webhook are bound."""
    return f"webhook:{tenant_id}:{webhook_id}"


class WebhookService:
    """Changes webhooks. Its functions run in the transaction of a request."""

    def __init__(
        self, keys: EncryptionKeys, policy: AddressPolicy, draw: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._keys, self._policy, self._draw = keys, policy, draw

    def check_url(self, url: str | None) -> None:
        """Raise UrlNotAllowed if a webhook may not have the URL."""
        problem = None if url is None else find_url_problem(url, self._policy)
        if problem is not None:
            raise UrlNotAllowed(problem)

    def create(
        self,
        connection: Connection,
        request: ChangeRequest,
        new: NewWebhook,
        cursor: int,
        now: datetime,
        name: str | None = None,
    ) -> ChangeResult:
        """Create a webhook that receives the events after `cursor`. Its secret is shown once."""
        caller = request.caller
        if WEBHOOKS.count(connection, tenant_id=caller.tenant_id) >= MAX_WEBHOOKS:
            raise TooManyWebhooks(MAX_WEBHOOKS)
        webhook_id, secret = f"wh_{self._draw(12).hex()}", format_secret(self._draw(SECRET_BYTES))
        encrypted = self._encrypt_secret(caller.tenant_id, webhook_id, secret)
        webhook = StoredWebhook(
            webhook_id, caller.tenant_id, name, caller.name, new.url, " ".join(new.event_types),
            new.description, "enabled", None, encrypted, None, None, cursor, 1, caller.actor, now, now,
        )  # fmt: skip
        WEBHOOKS.insert(connection, webhook)
        entry = request.build_audit_entry(
            now, "webhook.created", _build_target(webhook), None, _build_audit_values(webhook)
        )
        return ChangeResult(serialize_webhook(webhook) | {"secret": secret}, [entry], 201, shows_secret=True)

    def put_by_name(
        self,
        connection: Connection,
        request: ChangeRequest,
        name: str,
        new: NewWebhook,
        cursor: int,
        now: datetime,
    ) -> ChangeResult:
        """Create the webhook of that name, or update and enable it. Pending deliveries become due at once."""
        caller = request.caller
        webhook = WEBHOOKS.find(connection, tenant_id=caller.tenant_id, name=name)
        if webhook is None:
            return self.create(connection, request, new, cursor, now, name)
        if get_owner(caller) not in (None, webhook.owner):
            raise WebhookNameTaken(name)
        changes: dict[str, Any] = {
            field: value
            for field, value in zip(
                _AUDITED_FIELDS, (new.url, " ".join(new.event_types), new.description), strict=True
            )
            if getattr(webhook, field) != value
        }
        if webhook.status == "disabled":
            changes |= {"status": "enabled", "disabled_reason": None, "cursor": cursor}
            deliveries.restart_attempts(connection, caller.tenant_id, webhook.id, now)
        else:
            deliveries.make_due(connection, caller.tenant_id, webhook.id, now)
        return _apply_changes(connection, request, webhook, changes, now)

    def change(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, changes: dict[str, Any],
        now: datetime,
    ) -> ChangeResult:  # fmt: skip
        """Change URL, types or description."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        updates = {name: value for name, value in changes.items() if getattr(webhook, name) != value}
        return _apply_changes(connection, request, webhook, updates, now)

    def enable(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, cursor: int, now: datetime
    ) -> ChangeResult:
        """Enable a webhook: send its pending deliveries, and the events after `cursor`."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        if webhook.status == "enabled":
            return ChangeResult(serialize_webhook(webhook), ())
        deliveries.restart_attempts(connection, webhook.tenant_id, webhook.id, now)
        changes = {"status": "enabled", "disabled_reason": None, "cursor": cursor}
        return _apply_changes(connection, request, webhook, changes, now)

    def rotate(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, overlap_seconds: int,
        now: datetime,
    ) -> ChangeResult:  # fmt: skip
        """Replace the secret by a new one, shown once. The old one signs too during the overlap."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        secret = format_secret(self._draw(SECRET_BYTES))
        until = now + timedelta(seconds=overlap_seconds)
        changes: dict[str, Any] = {
            "secret": self._encrypt_secret(webhook.tenant_id, webhook.id, secret),
            "previous_secret": webhook.secret if overlap_seconds else None,
            "previous_until": until if overlap_seconds else None,
            "updated_at": now,
        }
        queries.update_webhook(connection, webhook, changes)
        after = {"overlap_ends_at": format_timestamp(until)}
        entry = request.build_audit_entry(now, "webhook.rotated", _build_target(webhook), None, after)
        answer = serialize_webhook(webhook._replace(**changes))
        return ChangeResult(answer | {"secret": secret}, [entry], 201, shows_secret=True)

    def delete(
        self, connection: Connection, request: ChangeRequest, webhook_id: str, now: datetime
    ) -> ChangeResult:
        """Delete a webhook with its deliveries."""
        webhook = get_webhook(connection, request.caller, webhook_id)
        queries.delete_webhook(connection, webhook)
        entry = request.build_audit_entry(
            now, "webhook.deleted", _build_target(webhook), _build_audit_values(webhook), None
        )
        return ChangeResult({}, [entry], 204)

    def _encrypt_secret(self, tenant_id: int, webhook_id: str, secret: str) -> str:
        return self._keys.encrypt(secret, get_secret_context(tenant_id, webhook_id))


def get_webhook(connection: Connection, caller: Caller, webhook_id: str) -> StoredWebhook:
    """Return a webhook that the caller manages. Raises NoSuchWebhook."""
    webhook = queries.find_webhook(connection, caller.tenant_id, get_owner(caller), webhook_id)
    if webhook is None:
        raise NoSuchWebhook(webhook_id)
    return webhook


def serialize_webhook(webhook: StoredWebhook) -> dict[str, Any]:
    """Serialize a webhook without its secrets."""
    until = webhook.previous_until
    return {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "event_types": webhook.event_types.split(),
        "description": webhook.description,
        "status": webhook.status,
        "disabled_reason": webhook.disabled_reason,
        "previous_secret_expires_at": format_optional_timestamp(until),
        "created_by": webhook.created_by,
        "created_at": format_timestamp(webhook.created_at),
        "updated_at": format_timestamp(webhook.updated_at),
    }


def _apply_changes(
    connection: Connection,
    request: ChangeRequest,
    webhook: StoredWebhook,
    changes: dict[str, Any],
    now: datetime,
) -> ChangeResult:
    """Store changes, with an audit entry if there are any."""
    if not changes:
        queries.update_webhook(connection, webhook, {})
        return ChangeResult(serialize_webhook(webhook), ())
    queries.update_webhook(connection, webhook, {**changes, "updated_at": now})
    updated = webhook._replace(**changes, updated_at=now)
    entry = request.build_audit_entry(
        now,
        "webhook.changed",
        _build_target(webhook),
        _build_audit_values(webhook),
        _build_audit_values(updated),
    )
    return ChangeResult(serialize_webhook(updated), [entry])


def _build_audit_values(webhook: StoredWebhook) -> AuditValues:
    return {name: getattr(webhook, name) for name in ("name", "status", *_AUDITED_FIELDS)}


def _build_target(webhook: StoredWebhook) -> str:
    return f"webhook:{webhook.id}"
