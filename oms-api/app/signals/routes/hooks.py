"""Routes of hooks: addresses that receive signals of charting services, and how they are managed."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from app.errors import Invalid, Malformed, TooLarge
from app.http.app_state import get_request_info
from app.http.body import json_body, validate_model
from app.http.dependencies import ClockDep, ReadersDep
from app.http.json import parse_json
from app.http.lists import parse_instant
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import Authentication, AuthenticationDep, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation, Scope
from app.signals.dependencies import SignalsDep
from app.signals.errors import NoSuchHook, build_field_error
from app.signals.queries import hooks as queries
from app.signals.queries.hooks import Hook
from app.signals.queries.signals import find_signal
from app.signals.rules import replays, templates
from app.signals.rules.values import SignalChannel, SignalRequest
from app.signals.schemas.hooks import HookIn, HookMadeOut, HookOut, HookReceiptOut
from app.signals.schemas.signals import SignalIn
from app.signals.service import hooks as service

router = APIRouter(prefix="/signals", tags=["signals"])

ManageSignalsCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_SIGNALS))]
HookIdPath = Annotated[str, Path(max_length=40, description="ID of the hook")]
MAX_BODY_BYTES = 16_384
_EXAMPLE = {"name": "TradingView", "strategy": "momentum", "allowed_networks": ["203.0.113.0/24"]}


@router.post("/hooks", summary="Create a hook", **document_responses(201, HookMadeOut, 409))
async def create_hook(
    caller: ManageSignalsCaller, body: Annotated[HookIn, Depends(json_body(HookIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Create a hook: an address that receives signals without an API key. Its token is shown once."""
    return await change_requests.execute(caller, body, service.create_hook, body.to_terms())


@router.get("/hooks", summary="List hooks", **document_responses(200, list[HookOut]))
async def list_hooks(caller: ManageSignalsCaller, readers: ReadersDep) -> Response:
    """List the hooks of the tenant, oldest first, without their tokens."""
    hooks = await readers.read(caller.tenant_id, queries.list_hooks)
    return build_json_response(list(map(service.serialize_hook, hooks)))


@router.post(
    "/hooks/{hook_id}:rotate",
    summary="Rotate the token of a hook",
    **document_responses(201, HookMadeOut, 404, 409),
)
async def rotate_hook(
    caller: ManageSignalsCaller, hook_id: HookIdPath, change_requests: ChangeRequestsDep
) -> Response:
    """Replace the token by a new one, which is shown once. The old address returns 404 from now on."""
    return await change_requests.execute(caller, None, service.rotate_hook, hook_id)


@router.delete("/hooks/{hook_id}", summary="Delete a hook", **document_responses(204, "Deleted", 404, 409))
async def delete_hook(
    caller: ManageSignalsCaller, hook_id: HookIdPath, change_requests: ChangeRequestsDep
) -> Response:
    """Delete a hook. Its signals are kept."""
    return await change_requests.execute(caller, None, service.delete_hook, hook_id)


@router.post(
    "/hook/{token}",
    summary="Send a signal to a hook",
    openapi_extra={"x-operation": "anybody", "x-roles": []},
    **document_responses(202, HookReceiptOut, 404, 413),
)
async def receive_message(
    token: Annotated[str, Path(max_length=100, description="Token of the hook")], request: Request,
    authentication: AuthenticationDep, signals: SignalsDep, readers: ReadersDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Receive a signal and place its order. The body is JSON, or text that fits the template of the hook.

    A message with the `id` of an earlier one, or without an ID but with equal content, is a repeat for 24
    hours and returns the same signal.
    """
    hook = await _authorize_hook(request, authentication, readers, token)
    body, at = await request.body(), now()
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(f"A message has at most {MAX_BODY_BYTES:,} bytes; send a shorter one.")
    signal_in = _parse_message(hook, body)
    candidate = _build_request(hook, signal_in, body, at)
    known_id = await readers.run(
        lambda connection: _find_replayed_id(connection, hook, signal_in, body, at), hook.tenant_id
    )
    request_of_signal = candidate if known_id is None else candidate._replace(id=known_id)
    signal = await signals.accept_or_store(_build_caller(hook), request_of_signal)
    return build_json_response({"id": signal.id, "status": signal.status}, 202)


async def _authorize_hook(
    request: Request, authentication: Authentication, readers: ReadersDep, token: str
) -> Hook:
    """Return the hook of the token. Raises NoSuchHook, also for an address that may not send to it."""
    request_info = get_request_info(request)
    authentication.limiter.check_address(request_info.address)
    hook = await service.find_hook_by_token(readers, token, request_info.address)
    if hook is None:
        authentication.limiter.charge_address(request_info.address)
        raise NoSuchHook
    authentication.count(request_info, _build_caller(hook))
    return hook


def _build_caller(hook: Hook) -> Caller:
    scopes = frozenset({Scope.READ, Scope.TRADE})
    return Caller(hook.tenant_id, f"hook:{hook.id}", f"hook:{hook.name}"[:60], scopes)


def _parse_message(hook: Hook, body: bytes) -> SignalIn:
    values = _read_values(hook, body)
    if hook.strategy is not None:
        values["strategy"] = hook.strategy
    time = values.pop("time", None)
    if time is not None:
        values.setdefault("expires_at", _compute_expiry(hook, time))
    return validate_model(SignalIn, values)


def _read_values(hook: Hook, body: bytes) -> dict[str, Any]:
    if hook.template is not None:
        values = templates.parse_text(hook.template, body.decode("utf-8", "replace"))
        if values is None:
            raise Invalid(
                f"The text does not fit the template {hook.template!r}; correct the text or the template."
            )
        return dict(values)
    payload = parse_json(body)
    if not isinstance(payload, dict):
        raise Malformed("Send a JSON object.")
    if hook.paths is None:
        return payload
    return templates.map_fields(orjson.loads(hook.paths), payload)


def _compute_expiry(hook: Hook, time: object) -> str:
    try:
        at = parse_instant(str(time))
    except ValueError:
        message = "Must be an instant with its offset, such as 2026-11-20T16:00:00Z."
        raise build_field_error("time", message, "instant") from None
    return (at + timedelta(seconds=hook.max_age_seconds)).isoformat()


def _build_request(hook: Hook, signal_in: SignalIn, body: bytes, now: datetime) -> SignalRequest:
    body_hash = replays.hash_body(body)
    if signal_in.id is None:
        signal_id = replays.build_period_ids(hook.id, body_hash, now)[0]
    else:
        signal_id = replays.build_named_id(hook.id, signal_in.id)
    return signal_in.build_request(SignalChannel.HOOK, signal_id, body_hash)


def _find_replayed_id(
    connection: Connection, hook: Hook, signal_in: SignalIn, body: bytes, now: datetime
) -> str | None:
    """Return the id of the same message of the period before, if that counts still."""
    if signal_in.id is not None:
        return None
    previous = replays.build_period_ids(hook.id, replays.hash_body(body), now)[1]
    signal = find_signal(connection, hook.tenant_id, previous, None)
    is_known = signal is not None and replays.is_replay(signal.signal.received_at, now)
    return previous if is_known else None
