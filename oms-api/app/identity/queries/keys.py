"""Queries of a tenant's API keys."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, insert, literal, or_, select, update

from app.identity.models import ApiKey
from app.identity.rules.administration import PageCursor
from app.identity.rules.keys import ListedKey, StoredKey
from app.text import label_key


class KeyRow(NamedTuple):
    """A key for its administrators, without the key itself and without its hash."""

    key_id: str
    name: str
    scopes: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    is_narrowed: bool
    rotated_from: str | None
    created_by: str | None


def select_keys(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's keys, for other queries to extend."""
    return select(ApiKey).where(ApiKey.tenant_id == tenant_id)


def list_keys(connection: Connection, tenant_id: int) -> list[ListedKey]:
    """Return the tenant's keys by name."""
    columns = (getattr(ApiKey, field) for field in ListedKey._fields)
    statement = select_keys(tenant_id).with_only_columns(*columns).order_by(ApiKey.name)
    return [ListedKey._make(row) for row in connection.execute(statement)]


def is_name_taken(connection: Connection, tenant_id: int, name: str) -> bool:
    """Return whether the tenant has or had a key of that name. Spaces and quotes are ignored."""
    names = connection.execute(select_keys(tenant_id).with_only_columns(ApiKey.name)).scalars()
    return label_key(name) in map(label_key, names)


def store_key(
    connection: Connection,
    key: StoredKey,
    now: datetime,
    created_by: str | None = None,
    rotated_from: str | None = None,
) -> None:
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
            is_narrowed=key.is_narrowed,
            created_by=created_by,
            rotated_from=rotated_from,
        )
    )


def mark_revoked(connection: Connection, tenant_id: int, name: str, now: datetime) -> bool:
    """Revoke the valid key of that name. Return False if there is none."""
    is_live = (ApiKey.tenant_id == tenant_id, ApiKey.name == name, ApiKey.revoked_at.is_(None))
    return connection.execute(update(ApiKey).where(*is_live).values(revoked_at=now)).rowcount == 1


def find_key_row(connection: Connection, tenant_id: int, key_id: str) -> KeyRow | None:
    """Return the tenant's key of that id."""
    row = connection.execute(_select_keys(tenant_id).where(ApiKey.key_id == key_id)).one_or_none()
    return KeyRow._make(row) if row else None


def list_key_rows(
    connection: Connection, tenant_id: int, limit: int, before: PageCursor | None
) -> list[KeyRow]:
    """Return keys, newest first, after the cursor `before`."""
    statement = _select_keys(tenant_id).order_by(ApiKey.created_at.desc(), ApiKey.key_id.desc()).limit(limit)
    if before is not None:
        same_moment = and_(ApiKey.created_at == before.created_at, ApiKey.key_id < before.id)
        statement = statement.where(or_(ApiKey.created_at < before.created_at, same_moment))
    return [KeyRow._make(row) for row in connection.execute(statement)]


def has_successor(connection: Connection, tenant_id: int, key_id: str) -> bool:
    """Return whether the key was rotated."""
    return connection.execute(select_keys(tenant_id).where(ApiKey.rotated_from == key_id)).first() is not None


def update_key(connection: Connection, tenant_id: int, key_id: str, changes: dict[str, Any]) -> None:
    """Update columns of a key."""
    condition = (ApiKey.tenant_id == tenant_id, ApiKey.key_id == key_id)
    connection.execute(update(ApiKey).where(*condition).values(**changes))


def has_admin_key(connection: Connection, tenant_id: int, now: datetime) -> bool:
    """Return whether a valid key for all portfolios has the scope `admin`."""
    scopes = literal(" ") + ApiKey.scopes + literal(" ")
    conditions = (
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        ApiKey.is_narrowed.is_(False),
        scopes.contains(" admin "),
    )
    return connection.execute(select_keys(tenant_id).where(*conditions)).first() is not None


def _select_keys(tenant_id: int) -> Select[Any]:
    return select_keys(tenant_id).with_only_columns(*(getattr(ApiKey, field) for field in KeyRow._fields))
