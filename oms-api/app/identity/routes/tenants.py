"""Routes of tenants."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app.http.body import json_body
from app.http.dependencies import ReadersDep
from app.http.list_pages import PagesDep
from app.http.lists import PageQuery
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.queries import tenants as queries
from app.identity.rules.access import Caller, Operation, Scope
from app.identity.schemas.fields import SLUG
from app.identity.schemas.tenants import (
    TenantIn,
    TenantListed,
    TenantMadeOut,
    TenantOut,
    TenantPatch,
    WorkspaceIn,
    WorkspaceOut,
)
from app.identity.service import tenants as service
from app.identity.service import workspaces

router = APIRouter(prefix="/tenants", tags=["tenants"])

MakeTenantCaller = Annotated[Caller, Depends(require_permission(Operation.MAKE_TENANT))]
ReadTenantsCaller = Annotated[Caller, Depends(require_permission(Operation.READ_TENANTS))]
ManageTenantCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_TENANT))]
TenantSlugPath = Annotated[str, Path(pattern=SLUG, max_length=60)]
_TENANTS = "tenants"  # the name of the list in cursors
_WORKSPACE = {"team_id": "T012AB3C4"}
_EXAMPLE = {"name": "Alpha Capital", "slug": "alpha"}
TenantPatchBody = Annotated[TenantPatch, Depends(json_body(TenantPatch, {"name": "Alpha Capital Partners"}))]


@router.post("", summary="Create a tenant", **document_responses(201, TenantMadeOut, 409))
async def make_tenant(
    caller: MakeTenantCaller, body: Annotated[TenantIn, Depends(json_body(TenantIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Create a tenant with a first admin key, which is shown once. Only the operator's key may call this."""
    return await change_requests.execute(caller, body, service.create_tenant, body.to_parameters())


@router.get("", summary="List tenants", **document_responses(200, list[TenantListed]))
async def list_tenants(
    caller: ReadTenantsCaller, query: Annotated[PageQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the caller's own tenant. The operator's key lists all tenants by slug."""
    if Scope.TENANTS not in caller.scopes:
        own_tenant = await readers.run(lambda connection: queries.get_tenant(connection, caller.tenant_id))
        return build_json_response([service.serialize_listed_tenant(own_tenant)])
    page = pages.open(caller.tenant_id, _TENANTS, query)
    tenants = await readers.run(lambda connection: queries.list_tenants(connection, page.count, page.start))
    return page.build_response(tenants, service.serialize_listed_tenant, lambda last: last.slug)


@router.get("/{slug}", summary="Get a tenant", **document_responses(200, TenantOut | TenantListed, 404))
async def get_tenant(caller: ReadTenantsCaller, slug: TenantSlugPath, readers: ReadersDep) -> Response:
    """Get the caller's own tenant. The operator's key gets the directory entry of any tenant."""
    tenant = await readers.run(lambda connection: service.get_visible_tenant(connection, caller, slug))
    return build_json_response(service.serialize_tenant(caller, tenant))


@router.patch(
    "/{slug}", summary="Update a tenant", **document_responses(200, TenantOut | TenantListed, 404, 409)
)
async def change_tenant(
    caller: ManageTenantCaller,
    slug: TenantSlugPath,
    body: TenantPatchBody,
    change_requests: ChangeRequestsDep,
) -> Response:
    """Change a tenant.

    Its administrators set its name, `slack_default_role`, `base_currency`, `default_opening_cash`,
    `slack_channels` and `slack_group_roles`; the operator's key sets its `status`.
    """
    return await change_requests.execute(caller, body, service.update_tenant, slug, body.to_changes())


@router.post(
    "/{slug}/workspaces",
    summary="Claim a workspace for a tenant",
    **document_responses(201, WorkspaceOut, 404, 409, other={200: WorkspaceOut}),
)
async def claim_workspace(
    caller: MakeTenantCaller, slug: TenantSlugPath,
    body: Annotated[WorkspaceIn, Depends(json_body(WorkspaceIn, _WORKSPACE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Assign a Slack workspace to a tenant, so that its people can use the tenant's bot.

    A repeat returns 200. Only the operator's key may call this.
    """
    return await change_requests.execute(caller, body, workspaces.claim_workspace, slug, body.team_id)


@router.post(
    "/{slug}/workspaces:release",
    summary="Release a workspace of a tenant",
    **document_responses(200, WorkspaceOut, 404, 409),
)
async def release_workspace(
    caller: ManageTenantCaller, slug: TenantSlugPath,
    body: Annotated[WorkspaceIn, Depends(json_body(WorkspaceIn, _WORKSPACE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Release a workspace, so that the operator can assign it to another tenant. Its users are kept."""
    return await change_requests.execute(caller, body, workspaces.release_workspace, slug, body.team_id)
