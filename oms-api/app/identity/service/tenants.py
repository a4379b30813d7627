"""Creating, renaming and suspending tenants."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.audit.service import AuditEntry
from app.database import set_tenant_scope
from app.errors import Forbidden
from app.identity.errors import FirstTenantRequired, NoSuchTenant, NotAllowed, SlugTaken
from app.identity.queries import tenants as queries
from app.identity.queries.tenants import TenantRow
from app.identity.rules.access import FIRST_TENANT, Caller, Role, Scope
from app.identity.rules.administration import NewTenant, TenantChanges, require_role
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.identity.service.keys import store_new_key
from app.money import format_money
from app.timestamps import format_timestamp

FIRST_KEY = "admin"


def create_tenant(
    connection: Connection, request: ChangeRequest, parameters: NewTenant, now: datetime
) -> ChangeResult:
    """Create a tenant and its first key, which is shown once. Raises SlugTaken."""
    if queries.find_tenant(connection, parameters.slug):
        raise SlugTaken(parameters.slug)
    tenant_id = queries.store_tenant(connection, parameters.slug, parameters.name, now)
    set_tenant_scope(connection, [request.caller.tenant_id, tenant_id])
    key = store_new_key(connection, FIRST_KEY, Scope.ADMIN, now, tenant_id, created_by=request.caller.actor)
    tenant = queries.get_tenant(connection, tenant_id)
    fields = {"slug": tenant.slug, "name": tenant.name, "status": tenant.status}
    entries = copy_to_tenant(
        request, request.build_audit_entry(now, "tenant.created", _build_target(tenant), None, fields), tenant
    )
    return ChangeResult(serialize_own_tenant(tenant) | {"api_key": key}, entries, 201, shows_secret=True)


def get_visible_tenant(connection: Connection, caller: Caller, slug: str) -> TenantRow:
    """Return the tenant if it is the caller's, or if the operator calls. Raises NoSuchTenant."""
    tenant = queries.find_tenant(connection, slug)
    if tenant is None or not (tenant.id == caller.tenant_id or Scope.TENANTS in caller.scopes):
        raise NoSuchTenant(slug)
    return tenant


def update_tenant(
    connection: Connection, request: ChangeRequest, slug: str, changes: TenantChanges, now: datetime
) -> ChangeResult:
    """Change a tenant. Its admins set its settings; the operator sets its status.

    Raises NoSuchTenant, NotAllowed or FirstTenantRequired.
    """
    caller = request.caller
    before = get_visible_tenant(connection, caller, slug)
    _require_right(caller, before, changes)
    changed = {name: value for name, value in changes.items() if value != getattr(before, name)}
    if not changed:
        return ChangeResult(serialize_tenant(caller, before), ())
    set_tenant_scope(connection, [caller.tenant_id, before.id])
    queries.lock_tenant(connection, before.id)
    queries.update_tenant(connection, before.id, changed)
    previous = {name: getattr(before, name) for name in changed}
    entry = request.build_audit_entry(
        now,
        "tenant.changed",
        _build_target(before),
        _select_audit_values(previous),
        _select_audit_values(changed),
    )
    after = queries.get_tenant(connection, before.id)
    return ChangeResult(serialize_tenant(caller, after), copy_to_tenant(request, entry, after))


def serialize_own_tenant(tenant: TenantRow) -> dict[str, Any]:
    """Serialize a tenant for its own administrators."""
    return (
        _select_audit_values(tenant._asdict())
        | serialize_slack_settings(tenant)
        | {"created_at": format_timestamp(tenant.created_at)}
    )


def serialize_slack_settings(tenant: TenantRow) -> dict[str, Any]:
    """Serialize the settings that the tenant's bot follows."""
    return {name: json.loads(getattr(tenant, name)) for name in ("slack_channels", "slack_group_roles")}


def _select_audit_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with amounts as text."""
    return {
        name: format_money(value) if isinstance(value, Decimal) else value for name, value in values.items()
    }


def serialize_listed_tenant(tenant: TenantRow) -> dict[str, Any]:
    """Serialize a tenant for the directory."""
    return {"slug": tenant.slug, "name": tenant.name, "status": tenant.status}


def serialize_tenant(caller: Caller, tenant: TenantRow) -> dict[str, Any]:
    """Serialize the fields of a tenant that the caller may see."""
    return serialize_own_tenant(tenant) if tenant.id == caller.tenant_id else serialize_listed_tenant(tenant)


def _require_right(caller: Caller, tenant: TenantRow, changes: TenantChanges) -> None:
    if "status" in changes and Scope.TENANTS not in caller.scopes:
        raise NotAllowed([Scope.TENANTS], caller.role)
    if tenant.id != caller.tenant_id and set(changes) - {"status"}:
        raise Forbidden("Only an admin of this tenant may change more of it than its status.")
    if tenant.id == FIRST_TENANT and changes.get("status") == "suspended":
        raise FirstTenantRequired
    new_user_policy = changes.get("slack_default_role")
    if new_user_policy is not None:
        require_role(caller, Role(new_user_policy))


def copy_to_tenant(request: ChangeRequest, entry: AuditEntry, tenant: TenantRow) -> list[AuditEntry]:
    """Return the entry, and its copy for the tenant's audit log if the operator acts on another tenant."""
    if tenant.id == request.caller.tenant_id:
        return [entry]
    return [entry, replace(entry, tenant_id=tenant.id)]


def _build_target(tenant: TenantRow) -> str:
    return f"tenant:{tenant.slug}"
