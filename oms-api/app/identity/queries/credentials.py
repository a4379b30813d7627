"""Queries by exact key before the tenant is known. Their tables have no row-level security."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from app.database import set_tenant_scope
from app.identity.models import ApiKey, PortfolioGrant, SlackWorkspace, Tenant
from app.identity.rules.keys import StoredKey

_SELECT_KEY = (
    select(
        ApiKey.key_id,
        ApiKey.tenant_id,
        ApiKey.name,
        ApiKey.secret_hash,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.is_narrowed,
        Tenant.status,
    )
    .join(Tenant, Tenant.id == ApiKey.tenant_id)
    .where(ApiKey.key_id == bindparam("key_id"))
)
_SELECT_GRANTS = select(PortfolioGrant.portfolio_key).where(
    PortfolioGrant.tenant_id == bindparam("tenant_id"), PortfolioGrant.key_id == bindparam("key_id")
)


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    """Return the API key with that id, of any tenant, or None."""
    row = connection.execute(_SELECT_KEY, {"key_id": key_id}).one_or_none()
    if row is None:
        return None
    columns = dict(row._mapping)
    key = StoredKey(tenant_is_active=columns.pop("status") == "active", **columns)
    if not key.is_narrowed:
        return key
    set_tenant_scope(connection, [key.tenant_id])
    portfolio_keys = connection.execute(
        _SELECT_GRANTS, {"tenant_id": key.tenant_id, "key_id": key_id}
    ).scalars()
    return replace(key, portfolios=frozenset(portfolio_keys))


def mark_used(connection: Connection, key_id: str, now: datetime) -> None:
    """Store when a key was last used."""
    connection.execute(update(ApiKey).where(ApiKey.key_id == key_id).values(last_used_at=now))


def find_tenant_of_workspace(connection: Connection, team_id: str) -> int | None:
    """Return the tenant that a Slack workspace is bound to, or None."""
    statement = select(SlackWorkspace.tenant_id).where(SlackWorkspace.team_id == team_id)
    return connection.execute(statement).scalar_one_or_none()
