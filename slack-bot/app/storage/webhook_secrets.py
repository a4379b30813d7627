"""The secrets of the webhooks by which the OMS sends events, encrypted, for all bots."""

from app.storage.database import execute_or_log
from app.storage.encryption import DecryptionFailed, KeyRing
from app.storage.storage import Storage


class WebhookSecrets:
    """Store the secret of each webhook. Several workspaces of a tenant share its webhook."""

    def __init__(self, storage: Storage, keys: KeyRing):
        self._database = storage.database
        self._keys = keys

    def save(self, webhook_id: str, secret: str) -> None:
        """Store the secret of a webhook."""
        execute_or_log(
            self._database,
            "INSERT INTO webhook_secrets (webhook_id, secret) VALUES (?, ?) "
            "ON CONFLICT (webhook_id) DO UPDATE SET secret = excluded.secret",
            webhook_id,
            self._keys.encrypt(secret, _build_context(webhook_id)),
        )

    def find(self, webhook_id: str) -> str:
        """Return the secret of a webhook, empty if it is not known or cannot be decrypted."""
        statement = "SELECT secret FROM webhook_secrets WHERE webhook_id = ?"
        rows = execute_or_log(self._database, statement, webhook_id) or []
        try:
            return self._keys.decrypt(rows[0][0], _build_context(webhook_id)) if rows else ""
        except DecryptionFailed:
            return ""


def _build_context(webhook_id: str) -> str:
    return f"webhook_secrets:{webhook_id}"
