"""Routes of roles."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.http.body import json_body
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.routes.user_updates import UserUpdaterDep
from app.identity.routes.users import ManagePeopleCaller, UserIdPath
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.roles import GrantIn, GrantPatch, RoleOut, serialize_roles
from app.identity.schemas.users import UserOut

router = APIRouter(prefix="/roles", tags=["users and roles"])

ReadRolesCaller = Annotated[Caller, Depends(require_permission(Operation.READ_ROLES))]
GrantBody = Annotated[
    GrantIn, Depends(json_body(GrantIn, {"user_id": 7, "role": "trader", "portfolios": None}))
]
GrantPatchBody = Annotated[GrantPatch, Depends(json_body(GrantPatch, {"role": "risk"}))]


@router.get("", summary="List roles", **document_responses(200, list[RoleOut]))
async def list_roles(_: ReadRolesCaller) -> Response:
    """List the roles and the operations that each allows."""
    return build_json_response(serialize_roles())


@router.post("", summary="Grant a role", **document_responses(201, UserOut, 404, 409))
async def grant_role(
    caller: ManagePeopleCaller, body: GrantBody, users: UserUpdaterDep, change_requests: ChangeRequestsDep
) -> Response:
    """Grant a user a role for all portfolios, or for some of them."""
    return await users.change(
        change_requests.build(caller, body), body.user_id, body.to_changes(), status=201
    )


@router.patch("/{user_id}", summary="Update a user's role", **document_responses(200, UserOut, 404, 409))
async def change_role(
    caller: ManagePeopleCaller, user_id: UserIdPath, body: GrantPatchBody, users: UserUpdaterDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Change a user's role, or its portfolios."""
    return await users.change(change_requests.build(caller, body), user_id, body.to_changes())
