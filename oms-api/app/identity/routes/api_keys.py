"""Routes of API keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.list_pages import PagesDep
from app.http.lists import PageQuery
from app.http.paths import ID_CONVERTOR
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.queries import keys as queries
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.fields import KEY_ID, format_cursor, parse_cursor
from app.identity.schemas.keys import KeyIn, KeyMadeOut, KeyOut, KeyPatch, RotationIn
from app.identity.service import api_keys as service

router = APIRouter(prefix="/api-keys", tags=["API keys"])

ManageKeysCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_KEYS))]
KeyIdPath = Annotated[str, Path(pattern=KEY_ID)]
_ONE = f"/{{key_id:{ID_CONVERTOR}}}"
_KEYS = "keys"  # the name of the list in cursors
_EXAMPLE = {"name": "desk-bot", "scopes": ["act_as"], "expires_at": None, "portfolios": None}
KeyPatchBody = Annotated[KeyPatch, Depends(json_body(KeyPatch, {"revoked": True}))]
KeyRotationBody = Annotated[RotationIn, Depends(json_body(RotationIn, {"overlap_seconds": 3600}))]


@router.post("", summary="Create an API key", **document_responses(201, KeyMadeOut, 409))
async def make_key(
    caller: ManageKeysCaller, body: Annotated[KeyIn, Depends(json_body(KeyIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Create a key, which is shown once.

    Its scopes, portfolios and lifetime cannot exceed those of the caller.
    """
    return await change_requests.execute(caller, body, service.create_key, body.to_parameters())


@router.get("", summary="List API keys", **document_responses(200, list[KeyOut]))
async def list_keys(
    caller: ManageKeysCaller, query: Annotated[PageQuery, Query()], readers: ReadersDep, pages: PagesDep,
    clock: ClockDep,
) -> Response:  # fmt: skip
    """List keys, newest first, without their secrets."""
    tenant_id, now = caller.tenant_id, clock()
    page = pages.open(tenant_id, _KEYS, query)
    before = None if page.start is None else parse_cursor(page.start)

    def read(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
        keys = queries.list_key_rows(connection, tenant_id, page.count, before)
        return service.serialize_keys(connection, tenant_id, keys[: query.limit], now), len(
            keys
        ) > query.limit

    content, more = await readers.run(read, tenant_id)
    last = format_cursor(content[-1]["created_at"], content[-1]["key_id"]) if more else None
    return page.build_content_response(content, last)


@router.get(_ONE, summary="Get an API key", **document_responses(200, KeyOut, 404))
async def get_key(
    caller: ManageKeysCaller, key_id: KeyIdPath, readers: ReadersDep, clock: ClockDep
) -> Response:
    """Get one key, without its secret."""
    now = clock()

    def read(connection: Connection) -> dict[str, object]:
        stored_key = service.get_key(connection, caller.tenant_id, key_id)
        [fields] = service.serialize_keys(connection, caller.tenant_id, [stored_key], now)
        return fields

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.patch(_ONE, summary="Update or revoke an API key", **document_responses(200, KeyOut, 404, 409))
async def change_key(
    caller: ManageKeysCaller, key_id: KeyIdPath, body: KeyPatchBody, change_requests: ChangeRequestsDep
) -> Response:
    """Rename or revoke a key. A revoked key becomes invalid within one second in all processes."""
    arguments = (key_id, body.get_new_name(), body.must_revoke())
    return await change_requests.execute(caller, body, service.update_key, *arguments)


@router.post("/{key_id}:rotate", summary="Rotate an API key", **document_responses(201, KeyMadeOut, 404, 409))
async def rotate_key(
    caller: ManageKeysCaller, key_id: KeyIdPath, body: KeyRotationBody, change_requests: ChangeRequestsDep
) -> Response:
    """Replace a key by a new one with the same name and rights, which is shown once.

    The old key is renamed and stays valid during the overlap, so that you can deploy the new one.
    """
    return await change_requests.execute(caller, body, service.rotate_key, key_id, body.to_parameters())
