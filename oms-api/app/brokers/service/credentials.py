"""Encrypt the credentials of connections, and decrypt them for an adapter."""

import orjson
from sqlalchemy import Connection

from app.brokers.queries import CONNECTIONS, StoredConnection, list_connections
from app.brokers.rules.connections import ConnectionTerms
from app.encryption import DecryptionFailed, EncryptionKeys


class CredentialsUnreadable(Exception):
    """Raised when the key that encrypted the credentials is missing, or they belong to another row."""

    def __init__(self) -> None:
        super().__init__(
            "The credentials cannot be decrypted: add their key to BROKER_KEYS, or set them again."
        )


def encrypt_credentials(
    keys: EncryptionKeys, tenant_id: int, connection_id: str, values: dict[str, str]
) -> str:
    """Return the ciphertext of credentials, bound to the tenant and the connection."""
    return keys.encrypt(orjson.dumps(values).decode(), _get_context(tenant_id, connection_id))


def build_connection_terms(keys: EncryptionKeys, stored: StoredConnection) -> ConnectionTerms:
    """Return the parameters of an adapter, with decrypted credentials. Raises CredentialsUnreadable."""
    try:
        text = keys.decrypt(stored.credentials, _get_context(stored.tenant_id, stored.id))
    except DecryptionFailed:
        raise CredentialsUnreadable from None
    return ConnectionTerms(stored.broker, stored.base_url, stored.is_live, stored.account, orjson.loads(text))


class RotationResult:
    """The number of credentials that were encrypted again, and which connections could not be decrypted."""

    def __init__(self) -> None:
        self.updated = 0
        self.unreadable: list[str] = []


def rotate_credentials(connection: Connection, keys: EncryptionKeys) -> RotationResult:
    """Encrypt credentials of older keys with the current key.

    Credentials that cannot be decrypted are left alone.
    """
    result = RotationResult()
    for stored in list_connections(connection):
        if keys.is_current(stored.credentials):
            continue
        context = _get_context(stored.tenant_id, stored.id)
        try:
            current = keys.encrypt(keys.decrypt(stored.credentials, context), context)
        except DecryptionFailed:
            result.unreadable.append(stored.name)
            continue
        previous = {"id": stored.id, "credentials": stored.credentials}  # unless they changed meanwhile
        result.updated += CONNECTIONS.update(connection, {"credentials": current}, **previous)
    return result


def _get_context(tenant_id: int, connection_id: str) -> str:
    return f"broker connection:{tenant_id}:{connection_id}"
