"""Jobs of webhooks: delete old deliveries, and encrypt secrets again after the keys have changed."""

from datetime import timedelta

from sqlalchemy import Engine

from app.clock import Now
from app.database import ALL_TENANTS, unit_of_work
from app.encryption import DecryptionFailed, EncryptionKeys
from app.jobs.service import Lease
from app.webhooks.queries.deliveries import delete_completed_deliveries
from app.webhooks.queries.webhooks import list_secrets, update_secrets
from app.webhooks.service.webhooks import get_secret_context

RETENTION_PERIOD = timedelta(days=7)
ROWS_PER_DELETION = 5_000


class WebhookMaintenance:
    """The jobs for all tenants."""

    def __init__(self, engine: Engine, keys: EncryptionKeys, now: Now) -> None:
        self._engine, self._keys, self._now = engine, keys, now

    def prune(self, lease: Lease) -> None:
        """Delete deliveries that were completed before the retention, in chunks."""
        before = self._now() - RETENTION_PERIOD
        while True:
            with unit_of_work(self._engine, ALL_TENANTS) as connection:
                count = delete_completed_deliveries(connection, before, ROWS_PER_DELETION)
            if count < ROWS_PER_DELETION:
                return
            lease.renew()

    def encrypt_again(self, _: Lease) -> None:
        """Encrypt secrets with the current key. Secrets that cannot be decrypted do not change."""
        with unit_of_work(self._engine, ALL_TENANTS) as connection:
            for secrets in list_secrets(connection):
                context = get_secret_context(secrets.tenant_id, secrets.webhook_id)
                ciphertexts = (secrets.current, secrets.previous)
                if all(ciphertext is None or self._keys.is_current(ciphertext) for ciphertext in ciphertexts):
                    continue
                try:
                    updated = [
                        ciphertext and self._keys.encrypt(self._keys.decrypt(ciphertext, context), context)
                        for ciphertext in ciphertexts
                    ]
                except DecryptionFailed:
                    continue
                update_secrets(connection, secrets.webhook_id, *updated)
