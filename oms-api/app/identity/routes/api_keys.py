"""Routes of API keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from app.identity.dependencies import require_permission
from app.identity.queries import keys as queries
from app.identity.routes.change_requests import ChangeExecutorDep, ChangeRequestsDep, build_response
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.fields import KEY_ID, PageQuery, format_cursor, parse_cursor
from app.identity.schemas.keys import (
    KeyIn,
    KeyMadeOut,
    KeyOut,
    KeyPatch,
    RotationIn,
)
from app.identity.service import api_keys as service
from app.wire.body import documented_body, json_body
from app.wire.dependencies import ClockDep, CursorsDep, ReadersDep
from app.wire.lists import build_link_header
from app.wire.paths import ID
from app.wire.responses import NEXT_HEADER, REPLAYED_HEADER, build_json_response, document_responses

router = APIRouter(prefix="/api-keys", tags=["API keys"])

Manager = Annotated[Caller, Depends(require_permission(Operation.MANAGE_KEYS))]
KeyIdDep = Annotated[str, Path(pattern=KEY_ID)]
_ONE = f"/{{key_id:{ID}}}"
_KEYS = "keys"  # the name of the list in cursors
_EXAMPLE = {"name": "desk-bot", "scopes": ["act_as"], "expires_at": None, "portfolios": None}


@router.post(
    "",
    summary="Create an API key",
    status_code=201,
    responses=document_responses(201, {"model": KeyMadeOut}, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(KeyIn, _EXAMPLE),
)
async def make_key(
    caller: Manager, body: Annotated[KeyIn, Depends(json_body(KeyIn))], change_executor: ChangeExecutorDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Create a key, which is shown once.

    Its scopes, portfolios and lifetime cannot exceed those of the caller.
    """
    request, parameters = change_requests.build(caller, body), body.to_parameters()
    return build_response(
        await change_executor.execute(
            request,
            lambda connection, now: service.create_key(connection, request, parameters, now),
        )
    )


@router.get(
    "",
    summary="List API keys",
    responses=document_responses(200, {"model": list[KeyOut]}, headers=NEXT_HEADER),
)
async def list_keys(
    caller: Manager, query: Annotated[PageQuery, Query()], readers: ReadersDep, cursors: CursorsDep,
    clock: ClockDep, request: Request,
) -> Response:  # fmt: skip
    """List keys, newest first, without their secrets."""
    tenant_id, now = caller.tenant_id, clock()
    before = parse_cursor(cursors.read(tenant_id, _KEYS, query.cursor)) if query.cursor else None

    def read(connection: Connection) -> tuple[list[dict[str, Any]], bool]:
        keys = queries.list_key_rows(connection, tenant_id, query.limit + 1, before)
        return service.serialize_keys(connection, tenant_id, keys[: query.limit], now), len(
            keys
        ) > query.limit

    page, more = await readers.run(read, tenant_id)
    last = format_cursor(page[-1]["created_at"], page[-1]["key_id"]) if more else ""
    return build_json_response(
        page, headers=build_link_header(request, cursors.make(tenant_id, _KEYS, last) if more else None)
    )


@router.get(_ONE, summary="Get an API key", responses=document_responses(200, {"model": KeyOut}, 404))
async def get_key(caller: Manager, key_id: KeyIdDep, readers: ReadersDep, clock: ClockDep) -> Response:
    """Get one key, without its secret."""
    now = clock()

    def read(connection: Connection) -> dict[str, object]:
        found = service.get_key(connection, caller.tenant_id, key_id)
        [fields] = service.serialize_keys(connection, caller.tenant_id, [found], now)
        return fields

    return build_json_response(await readers.run(read, caller.tenant_id))


@router.patch(
    _ONE,
    summary="Update or revoke an API key",
    responses=document_responses(200, {"model": KeyOut}, 404, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(KeyPatch, {"revoked": True}),
)
async def change_key(
    caller: Manager, key_id: KeyIdDep, body: Annotated[KeyPatch, Depends(json_body(KeyPatch))],
    change_executor: ChangeExecutorDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Rename or revoke a key. A revoked key becomes invalid within one second in all processes."""
    request, name, revoked = change_requests.build(caller, body, key_id), body.get_new_name(), body.ends()
    return build_response(
        await change_executor.execute(
            request,
            lambda connection, now: service.update_key(
                connection, request, key_id, name, now, revoked=revoked
            ),
        )
    )


@router.post(
    "/{key_id}:rotate",
    summary="Rotate an API key",
    status_code=201,
    responses=document_responses(201, {"model": KeyMadeOut}, 404, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(RotationIn, {"overlap_seconds": 3600}),
)
async def rotate_key(
    caller: Manager, key_id: KeyIdDep, body: Annotated[RotationIn, Depends(json_body(RotationIn))],
    change_executor: ChangeExecutorDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Replace a key by a new one with the same name and rights, which is shown once.

    The old key is renamed and stays valid during the overlap, so that you can deploy the new one.
    """
    request, parameters = change_requests.build(caller, body, key_id), body.to_parameters()
    return build_response(
        await change_executor.execute(
            request,
            lambda connection, now: service.rotate_key(connection, request, key_id, parameters, now),
        )
    )
