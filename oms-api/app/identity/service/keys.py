"""Create and revoke keys."""

import logging
import secrets
from datetime import datetime

from sqlalchemy import Connection

from app.identity.errors import KeyNameTaken, NoSuchKey
from app.identity.queries import keys as queries
from app.identity.rules.access import FIRST_TENANT, Scope, expand_scopes
from app.identity.rules.keys import StoredKey, generate_key, hash_key, parse_key_id

_LOG = logging.getLogger(__name__)


def store_new_key(
    connection: Connection,
    name: str,
    scopes: str,
    now: datetime,
    tenant_id: int = FIRST_TENANT,
    expires_at: datetime | None = None,
    *,
    is_narrowed: bool = False,
    created_by: str | None = None,
    rotated_from: str | None = None,
) -> str:
    """Store a new key and return it. It is never shown again.

    `scopes` are words separated by spaces. Raises KeyNameTaken, and ValueError for unknown scopes.
    """
    granted = expand_scopes(scopes.split())
    if Scope.TENANTS in granted:
        raise ValueError("the scope 'tenants' is the installation's own key's alone")
    if queries.is_name_taken(connection, tenant_id, name):
        raise KeyNameTaken(name)
    key = generate_key(secrets.choice)
    scope_text = " ".join(sorted(granted))
    stored = StoredKey(
        get_key_id(key), tenant_id, name, hash_key(key), scope_text, expires_at, None, is_narrowed
    )
    queries.store_key(connection, stored, now, created_by, rotated_from)
    return key


def get_key_id(key: str) -> str:
    """Return the id in a key that this service created."""
    key_id = parse_key_id(key)
    assert key_id is not None, "a fresh key is well-formed"  # noqa: S101  # for the type checker
    return key_id


def revoke_key(connection: Connection, name: str, now: datetime, tenant_id: int = FIRST_TENANT) -> None:
    """Revoke the key of that name. Processes that cached it drop it within half a second."""
    if not queries.mark_revoked(connection, tenant_id, name, now):
        raise NoSuchKey(name)
    _LOG.info("key revoked", extra={"key_name": name})
