"""Routes of users."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from app.http.body import json_body
from app.http.dependencies import ReadersDep
from app.http.list_pages import PagesDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep, build_response
from app.identity.queries import users as queries
from app.identity.routes.user_updates import UserUpdaterDep
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.fields import UserId, format_cursor, parse_cursor
from app.identity.schemas.users import UserIn, UserOut, UserPatch, UserQuery
from app.identity.service import users as service

router = APIRouter(prefix="/users", tags=["users and roles"])

ReadPeopleCaller = Annotated[Caller, Depends(require_permission(Operation.READ_PEOPLE))]
ManagePeopleCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_PEOPLE))]
UserIdPath = Annotated[UserId, Path()]
_USERS = "users"  # the name of the list in cursors
_EXAMPLE = {
    "email": "alice@example.com",
    "name": "Alice",
    "password": "four words of your own",
    "role": "trader",
    "portfolios": None,
}
UserPatchBody = Annotated[UserPatch, Depends(json_body(UserPatch, {"role": "approver"}))]


@router.post("", summary="Create a user", **document_responses(201, UserOut, 409))
async def make_user(
    caller: ManagePeopleCaller, body: Annotated[UserIn, Depends(json_body(UserIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Create a user who logs in by e-mail address and password, or comes from Slack, or both."""
    request = change_requests.build(caller, body)
    return build_response(await service.create_user(change_requests.executor, request, body.to_parameters()))


@router.get("", summary="List users", **document_responses(200, list[UserOut]))
async def list_users(
    caller: ReadPeopleCaller, query: Annotated[UserQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List users, newest first."""
    tenant_id, filters = caller.tenant_id, query.filter()
    page = pages.open(tenant_id, _USERS, query)
    before = None if page.start is None else parse_cursor(page.start)

    def read(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
        users = queries.list_users(connection, tenant_id, filters, page.count, before)
        return service.serialize_users(connection, tenant_id, users[: query.limit]), len(users) > query.limit

    content, more = await readers.run(read, tenant_id)
    last = format_cursor(content[-1]["created_at"], content[-1]["id"]) if more else None
    return page.build_content_response(content, last)


@router.get("/{user_id}", summary="Get a user", **document_responses(200, UserOut, 404))
async def get_user(caller: ReadPeopleCaller, user_id: UserIdPath, readers: ReadersDep) -> Response:
    """Get one user."""

    def read(connection: Connection) -> dict[str, object]:
        user = service.get_user(connection, caller.tenant_id, user_id)
        [fields] = service.serialize_users(connection, caller.tenant_id, [user])
        return fields

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.patch("/{user_id}", summary="Update a user", **document_responses(200, UserOut, 404, 409))
async def change_user(
    caller: ManagePeopleCaller, user_id: UserIdPath, body: UserPatchBody, users: UserUpdaterDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Change a user, effective within one second.

    Disabling a user or setting a password ends the user's sessions.
    """
    return await users.change(change_requests.build(caller, body), user_id, body.to_changes())
