"""Bind and release the Slack workspaces of a tenant.

The operator, or a statement of the operator's bot, binds a workspace. The operator or the tenant's admin
releases it. Each of these is recorded in the audit logs of both the operator and the tenant.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry
from app.database import set_tenant_scope
from app.identity.errors import NoSuchWorkspace, WorkspaceNotBound, WorkspaceTaken
from app.identity.queries import workspaces as queries
from app.identity.queries.credentials import find_tenant_of_workspace
from app.identity.queries.tenants import TenantRow, get_tenant
from app.identity.rules.access import FIRST_TENANT
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.identity.service.tenants import get_visible_tenant


def claim_workspace(
    connection: Connection, request: ChangeRequest, slug: str, team_id: str, now: datetime
) -> ChangeResult:
    """Bind a workspace to the tenant. A repeat changes nothing. Raises NoSuchTenant or WorkspaceTaken."""
    tenant = _load_tenant_in_scope(connection, request, slug)
    change = _assign_workspace(connection, request, tenant, team_id, now)
    if change is None:
        raise WorkspaceTaken(team_id)
    return change


def claim_by_statement(
    connection: Connection, request: ChangeRequest, team_id: str, now: datetime
) -> ChangeResult:
    """Bind a workspace to the caller's tenant by a verified statement. Raises WorkspaceNotBound."""
    tenant = get_tenant(connection, request.caller.tenant_id)
    set_tenant_scope(connection, [FIRST_TENANT, tenant.id])
    change = _assign_workspace(connection, request, tenant, team_id, now)
    if change is None:
        raise WorkspaceNotBound
    return change


def release_workspace(
    connection: Connection, request: ChangeRequest, slug: str, team_id: str, now: datetime
) -> ChangeResult:
    """Release a workspace of the tenant. Raises NoSuchTenant or NoSuchWorkspace."""
    tenant = _load_tenant_in_scope(connection, request, slug)
    if not queries.release_workspace(connection, tenant.id, team_id):
        raise NoSuchWorkspace(team_id)
    fields = {"team_id": team_id, "tenant": tenant.slug}
    entry = request.build_audit_entry(now, "workspace.released", f"workspace:{team_id}", fields, None)
    return ChangeResult(fields, _build_entries_for_both(entry, tenant))


def _assign_workspace(
    connection: Connection, request: ChangeRequest, tenant: TenantRow, team_id: str, now: datetime
) -> ChangeResult | None:
    """Assign a workspace. Return None if it belongs to another tenant."""
    fields = {"team_id": team_id, "tenant": tenant.slug}
    if not queries.claim_workspace(connection, tenant.id, team_id, now):
        return (
            ChangeResult(fields, ()) if find_tenant_of_workspace(connection, team_id) == tenant.id else None
        )
    entry = request.build_audit_entry(now, "workspace.bound", f"workspace:{team_id}", None, fields)
    return ChangeResult(fields, _build_entries_for_both(entry, tenant), 201)


def _build_entries_for_both(entry: AuditEntry, tenant: TenantRow) -> Sequence[AuditEntry]:
    """Return the entries for the audit logs of the operator and of the tenant."""
    return [replace(entry, tenant_id=tenant_id) for tenant_id in sorted({FIRST_TENANT, tenant.id})]


def _load_tenant_in_scope(connection: Connection, request: ChangeRequest, slug: str) -> TenantRow:
    tenant = get_visible_tenant(connection, request.caller, slug)
    set_tenant_scope(connection, [FIRST_TENANT, request.caller.tenant_id, tenant.id])
    return tenant
