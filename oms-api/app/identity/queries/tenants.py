"""Queries of the directory of tenants, and the lock for changes of one tenant."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select

from app.database import RecordTable
from app.identity.models import Tenant
from app.ids import generate_tenant_id


class TenantRow(NamedTuple):
    """A tenant. `slack_default_role` is None if it rejects new Slack users.

    `slack_channels` and `slack_group_roles` are JSON objects by the ids of channels and user groups.
    """

    id: int
    slug: str
    name: str
    status: str
    slack_default_role: str | None
    base_currency: str
    default_opening_cash: Decimal
    slack_channels: str
    slack_group_roles: str
    created_at: datetime


_TENANTS = RecordTable(Tenant, TenantRow)


def lock_tenant(connection: Connection, tenant_id: int) -> None:
    """Lock the tenant against other administrative changes until the transaction ends.

    Trading is not blocked.
    """
    condition = select(Tenant.id).where(Tenant.id == tenant_id)
    # SQLite ignores it, and has a single writer anyway
    connection.execute(condition.with_for_update(key_share=True))


def find_tenant(connection: Connection, slug: str) -> TenantRow | None:
    """Return the tenant of that slug, for any caller."""
    return _TENANTS.find(connection, slug=slug)


def get_tenant(connection: Connection, tenant_id: int) -> TenantRow:
    """Return a tenant by its id."""
    return TenantRow._make(connection.execute(_TENANTS.select(id=tenant_id)).one())


def get_base_currency(connection: Connection, tenant_id: int) -> str:
    """Return the currency of the tenant's limits on the sum of all portfolios."""
    statement = select(Tenant.base_currency).where(Tenant.id == tenant_id)
    return connection.execute(statement).scalar_one()


def load_opening_cash(connection: Connection, tenant_ids: Collection[int]) -> dict[int, Decimal]:
    """Return the opening cash of the portfolios that reported trades create, by tenant."""
    statement = select(Tenant.id, Tenant.default_opening_cash).where(Tenant.id.in_(tenant_ids))
    return {row.id: row.default_opening_cash for row in connection.execute(statement)}


def list_active_tenants(connection: Connection) -> list[int]:
    """Return the ids of the tenants that are not suspended."""
    return list(connection.execute(select(Tenant.id).where(Tenant.status == "active")).scalars())


def list_tenants(connection: Connection, limit: int, after: str | None) -> list[TenantRow]:
    """Return all tenants by slug, after the slug `after`."""
    query = _TENANTS.select().order_by(Tenant.slug).limit(limit)
    return _TENANTS.read(connection, query if after is None else query.where(Tenant.slug > after))


def store_tenant(connection: Connection, slug: str, name: str, now: datetime) -> int:
    """Insert a tenant and return its id."""
    tenant_id = generate_tenant_id()
    connection.execute(insert(Tenant).values(id=tenant_id, slug=slug, name=name, created_at=now))
    return tenant_id


def update_tenant(connection: Connection, tenant_id: int, changes: dict[str, Any]) -> None:
    """Update columns of a tenant."""
    _TENANTS.update(connection, changes, id=tenant_id)
