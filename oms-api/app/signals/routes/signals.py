"""Routes that accept and list signals."""

import re
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.direct_routes import JsonResponse, RequestInfo
from app.identity.dependencies import Reader, require_permission
from app.identity.rules.access import Caller, Operation
from app.orders.service.command_results import Outcome
from app.orders.service.commands import PlaceSignal
from app.signals.dependencies import SignalsDep
from app.signals.errors import NoSuchSignal
from app.signals.queries import signals as queries
from app.signals.queries.signals import SignalFilter
from app.signals.rules.values import SignalChannel, SignalRequest
from app.signals.schemas.signals import (
    EXAMPLE,
    SIGNAL_ID,
    SignalDetailOut,
    SignalIn,
    SignalOut,
    SignalQuery,
    serialize_outcome,
    serialize_signal,
)
from app.signals.service.signal_service import SignalService, get_processed_signal
from app.text import name_key
from app.wire.body import documented_body, json_body, parse_model
from app.wire.dependencies import CursorsDep, ReadersDep
from app.wire.fields import SearchText
from app.wire.idempotency import IdempotencyKey
from app.wire.lists import build_link_header
from app.wire.responses import NEXT_HEADER, build_json_response, document_responses
from app.wire.write_endpoint import WriteEndpoint

router = APIRouter(tags=["signals"])

SIGNAL_PATHS = ("/api/v1/signals", "/api/v1/trading/signal")

Sender = Annotated[Caller, Depends(require_permission(Operation.PLACE_ORDER))]
_LIST = "signals"
_ACCEPTED = document_responses(201, {"model": SignalOut}, 409, 413, 415)
_BODY = documented_body(SignalIn, EXAMPLE)


@router.post("/signals", summary="Send a signal", status_code=201, responses=_ACCEPTED, openapi_extra=_BODY)
async def post_signal(
    caller: Sender, body: Annotated[SignalIn, Depends(json_body(SignalIn))], signals: SignalsDep,
    key: IdempotencyKey,
) -> Response:  # fmt: skip
    """Store a signal and place its order by the rules of its strategy.

    A repeat with the same `id` returns the same response. The order passes the same risk checks and
    approvals as any other order. A signal that arrives too late is recorded as `expired`.
    """
    return build_json_response(
        serialize_outcome(await signals.accept(caller, _build_request(body, key))), 201
    )


@router.post(
    "/trading/signal", summary="Send a signal (alias)", status_code=201, responses=_ACCEPTED,
    openapi_extra=_BODY,
)  # fmt: skip
async def post_trading_signal(
    caller: Sender, body: Annotated[SignalIn, Depends(json_body(SignalIn))], signals: SignalsDep,
    key: IdempotencyKey,
) -> Response:  # fmt: skip
    """Send a signal: the same as `POST /signals`."""
    return await post_signal(caller, body, signals, key)


@router.get(
    "/signals",
    summary="List signals",
    responses=document_responses(200, {"model": list[SignalDetailOut]}, headers=NEXT_HEADER),
)
async def list_signals(
    caller: Reader, query: Annotated[SignalQuery, Query()], readers: ReadersDep, cursors: CursorsDep,
    request: Request,
) -> Response:  # fmt: skip
    """List signals with their outcome and its latency, newest first."""
    tenant_id = caller.tenant_id
    before = int(cursors.read(tenant_id, _LIST, query.cursor)) if query.cursor else None
    portfolio_name_key = None if query.portfolio is None else name_key(query.portfolio)
    filters = SignalFilter(query.status, query.strategy, query.symbol, portfolio_name_key, caller.portfolios)
    listed_signals = await readers.run(
        lambda connection: queries.list_signals(connection, tenant_id, filters, query.limit + 1, before),
        tenant_id,
    )
    page = listed_signals[: query.limit]
    last = str(page[-1].signal.number) if len(listed_signals) > query.limit else None
    cursor = None if last is None else cursors.make(tenant_id, _LIST, last)
    return build_json_response(list(map(serialize_signal, page)), headers=build_link_header(request, cursor))


@router.get(
    "/signals/{signal_id}",
    summary="Get a signal",
    responses=document_responses(200, {"model": SignalDetailOut}, 404),
)
async def get_signal(
    caller: Reader,
    signal_id: Annotated[SearchText, Path(max_length=150, description="ID of the signal")],
    readers: ReadersDep,
) -> Response:
    """Get one signal, its outcome, and the current statuses of its orders."""
    tenant_id = caller.tenant_id
    listed_signal = await readers.run(
        lambda connection: queries.find_signal(connection, tenant_id, signal_id, caller.portfolios), tenant_id
    )
    if listed_signal is None:
        raise NoSuchSignal(signal_id)
    return build_json_response(serialize_signal(listed_signal))


def build_signal_endpoint(service: SignalService) -> WriteEndpoint[Operation, Caller, PlaceSignal, Outcome]:
    """Build the endpoint that accepts a signal."""

    def parse(caller: Caller, request: RequestInfo, key: str | None) -> PlaceSignal:
        body = parse_model(SignalIn, request.headers.get(b"content-type", b""), request.body)
        return service.build_command(caller, _build_request(body, key))

    return WriteEndpoint(Operation.PLACE_ORDER, parse, service.submit, _build_response)


def _build_response(outcome: Outcome) -> JsonResponse:
    return JsonResponse(201, orjson.dumps(serialize_outcome(get_processed_signal(outcome))))


def _build_request(body: SignalIn, key: str | None) -> SignalRequest:
    key_as_id = key if key and re.fullmatch(SIGNAL_ID, key, re.ASCII) else ""
    return body.request(SignalChannel.REST, body.id or key_as_id)
