"""Slack workspaces of a tenant: bound by the operator, released by the operator or the tenant's admin."""

from datetime import datetime

from sqlalchemy import Connection

from app.database import declare_tenants
from app.identity.errors import NoSuchWorkspace, WorkspaceTaken
from app.identity.queries import workspaces as queries
from app.identity.queries.credentials import tenant_of_workspace
from app.identity.queries.tenants import TenantRow
from app.identity.service.once import Asking, Change
from app.identity.service.tenants import copy_to_tenant, seen_tenant


def claim_workspace(connection: Connection, asking: Asking, slug: str, team_id: str, now: datetime) -> Change:
    """Bind a workspace to the tenant; a repeat changes nothing. Raises NoSuchTenant, WorkspaceTaken."""
    tenant = _lock(connection, asking, slug)
    facts = {"team_id": team_id, "tenant": tenant.slug}
    if not queries.claim_workspace(connection, tenant.id, team_id, now):
        if tenant_of_workspace(connection, team_id) != tenant.id:
            raise WorkspaceTaken(team_id)
        return Change(facts, ())
    entry = asking.entry(now, "workspace.bound", f"workspace:{team_id}", None, facts)
    return Change(facts, copy_to_tenant(asking, entry, tenant), 201)


def release_workspace(
    connection: Connection, asking: Asking, slug: str, team_id: str, now: datetime
) -> Change:
    """Release a workspace of the tenant. Raises NoSuchTenant, NoSuchWorkspace."""
    tenant = _lock(connection, asking, slug)
    if not queries.release_workspace(connection, tenant.id, team_id):
        raise NoSuchWorkspace(team_id)
    facts = {"team_id": team_id, "tenant": tenant.slug}
    entry = asking.entry(now, "workspace.released", f"workspace:{team_id}", facts, None)
    return Change(facts, copy_to_tenant(asking, entry, tenant))


def _lock(connection: Connection, asking: Asking, slug: str) -> TenantRow:
    tenant = seen_tenant(connection, asking.caller, slug)
    declare_tenants(connection, [asking.caller.tenant_id, tenant.id])
    return tenant
