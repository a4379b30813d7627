"""Binding and releasing the Slack workspaces of a tenant.

The operator, or a statement of the operator's bot, binds a workspace. The operator or the tenant's admin
releases it. Each of these is recorded in the audit logs of both the operator and the tenant.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry
from app.database import declare_tenants
from app.identity.errors import NoSuchWorkspace, WorkspaceElsewhere, WorkspaceTaken
from app.identity.queries import workspaces as queries
from app.identity.queries.credentials import tenant_of_workspace
from app.identity.queries.tenants import TenantRow, get_tenant
from app.identity.rules.access import FIRST_TENANT
from app.identity.service.idempotent_operations import Asking, Change
from app.identity.service.tenants import seen_tenant


def claim_workspace(connection: Connection, asking: Asking, slug: str, team_id: str, now: datetime) -> Change:
    """Bind a workspace to the tenant. A repeat changes nothing. Raise NoSuchTenant or WorkspaceTaken."""
    tenant = _lock(connection, asking, slug)
    change = _assign(connection, asking, tenant, team_id, now)
    if change is None:
        raise WorkspaceTaken(team_id)
    return change


def claim_by_statement(connection: Connection, asking: Asking, team_id: str, now: datetime) -> Change:
    """Bind a workspace to the caller's tenant by a verified statement. Raise WorkspaceElsewhere."""
    tenant = get_tenant(connection, asking.caller.tenant_id)
    declare_tenants(connection, [FIRST_TENANT, tenant.id])
    change = _assign(connection, asking, tenant, team_id, now)
    if change is None:
        raise WorkspaceElsewhere
    return change


def release_workspace(
    connection: Connection, asking: Asking, slug: str, team_id: str, now: datetime
) -> Change:
    """Release a workspace of the tenant. Raise NoSuchTenant or NoSuchWorkspace."""
    tenant = _lock(connection, asking, slug)
    if not queries.release_workspace(connection, tenant.id, team_id):
        raise NoSuchWorkspace(team_id)
    facts = {"team_id": team_id, "tenant": tenant.slug}
    entry = asking.entry(now, "workspace.released", f"workspace:{team_id}", facts, None)
    return Change(facts, _for_both(entry, tenant))


def _assign(
    connection: Connection, asking: Asking, tenant: TenantRow, team_id: str, now: datetime
) -> Change | None:
    """Assign a workspace. Return None if it belongs to another tenant."""
    facts = {"team_id": team_id, "tenant": tenant.slug}
    if not queries.claim_workspace(connection, tenant.id, team_id, now):
        return Change(facts, ()) if tenant_of_workspace(connection, team_id) == tenant.id else None
    entry = asking.entry(now, "workspace.bound", f"workspace:{team_id}", None, facts)
    return Change(facts, _for_both(entry, tenant), 201)


def _for_both(entry: AuditEntry, tenant: TenantRow) -> Sequence[AuditEntry]:
    """Return the entries for the audit logs of the operator and of the tenant."""
    return [replace(entry, tenant_id=tenant_id) for tenant_id in sorted({FIRST_TENANT, tenant.id})]


def _lock(connection: Connection, asking: Asking, slug: str) -> TenantRow:
    tenant = seen_tenant(connection, asking.caller, slug)
    declare_tenants(connection, [FIRST_TENANT, asking.caller.tenant_id, tenant.id])
    return tenant
