"""Reading and writing keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from app.identity.models import ApiKey
from app.identity.rules import ListedKey, StoredKey


def keys_of(tenant_id: int) -> Select[Any]:
    """Return the tenant's keys, for other queries to build on."""
    return select(ApiKey).where(ApiKey.tenant_id == tenant_id)


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    """Return the key by its id, whatever its tenant: it is what tells the tenant."""
    row = connection.execute(_FIND, {"key_id": key_id}).one_or_none()
    return StoredKey(*row) if row else None


def list_keys(connection: Connection, tenant_id: int) -> list[ListedKey]:
    """Return the tenant's keys by name."""
    columns = (getattr(ApiKey, field) for field in ListedKey._fields)
    statement = keys_of(tenant_id).with_only_columns(*columns).order_by(ApiKey.name)
    return [ListedKey._make(row) for row in connection.execute(statement)]


def name_is_taken(connection: Connection, tenant_id: int, name: str) -> bool:
    """Tell whether the tenant has, or had, a key of that name."""
    return connection.execute(keys_of(tenant_id).where(ApiKey.name == name)).first() is not None


def store_key(connection: Connection, key: StoredKey, now: datetime) -> None:
    """Insert a key."""
    connection.execute(
        insert(ApiKey).values(
            key_id=key.key_id,
            tenant_id=key.tenant_id,
            name=key.name,
            secret_hash=key.secret_hash,
            scopes=key.scopes,
            created_at=now,
            expires_at=key.expires_at,
        )
    )


def mark_revoked(connection: Connection, tenant_id: int, name: str, now: datetime) -> bool:
    """End the live key of that name; False where there is none."""
    live = (ApiKey.tenant_id == tenant_id, ApiKey.name == name, ApiKey.revoked_at.is_(None))
    return connection.execute(update(ApiKey).where(*live).values(revoked_at=now)).rowcount == 1


def mark_used(connection: Connection, key_id: str, now: datetime) -> None:
    """Note when a key was last seen."""
    connection.execute(update(ApiKey).where(ApiKey.key_id == key_id).values(last_used_at=now))


_FIND = select(
    ApiKey.key_id,
    ApiKey.tenant_id,
    ApiKey.name,
    ApiKey.secret_hash,
    ApiKey.scopes,
    ApiKey.expires_at,
    ApiKey.revoked_at,
).where(ApiKey.key_id == bindparam("key_id"))
