"""Routes that accept and list signals."""

import re
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response

from app.http.body import json_body, parse_model
from app.http.dependencies import ReadersDep
from app.http.direct_routes import JsonResponse, RequestInfo
from app.http.fields import SearchText
from app.http.idempotency import IdempotencyKey
from app.http.list_pages import PagesDep
from app.http.responses import build_json_response, document_responses
from app.http.write_endpoint import WriteEndpoint
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
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

router = APIRouter(tags=["signals"])

SIGNAL_PATHS = ("/api/v1/signals", "/api/v1/trading/signal")

PlaceOrderCaller = Annotated[Caller, Depends(require_permission(Operation.PLACE_ORDER))]
_LIST = "signals"


@router.post("/signals", summary="Send a signal", **document_responses(201, SignalOut, 409))
async def post_signal(
    caller: PlaceOrderCaller, body: Annotated[SignalIn, Depends(json_body(SignalIn, EXAMPLE))],
    signals: SignalsDep, key: IdempotencyKey,
) -> Response:  # fmt: skip
    """Store a signal and place its order by the rules of its strategy.

    A repeat with the same `id` returns the same response. The order passes the same risk checks and
    approvals as any other order. A signal that arrives too late is recorded as `expired`.
    """
    return build_json_response(
        serialize_outcome(await signals.accept(caller, _build_request(body, key))), 201
    )


@router.post("/trading/signal", summary="Send a signal (alias)", **document_responses(201, SignalOut, 409))
async def post_trading_signal(
    caller: PlaceOrderCaller, body: Annotated[SignalIn, Depends(json_body(SignalIn, EXAMPLE))],
    signals: SignalsDep, key: IdempotencyKey,
) -> Response:  # fmt: skip
    """Send a signal: the same as `POST /signals`."""
    return await post_signal(caller, body, signals, key)


@router.get("/signals", summary="List signals", **document_responses(200, list[SignalDetailOut]))
async def list_signals(
    caller: ReadBooksCaller, query: Annotated[SignalQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List signals with their outcome and its latency, newest first."""
    tenant_id = caller.tenant_id
    page = pages.open(tenant_id, _LIST, query)
    before = None if page.start is None else int(page.start)
    portfolio_name_key = None if query.portfolio is None else name_key(query.portfolio)
    filters = SignalFilter(query.status, query.strategy, query.symbol, portfolio_name_key, caller.portfolios)
    listed_signals = await readers.read(tenant_id, queries.list_signals, filters, page.count, before)
    return page.build_response(listed_signals, serialize_signal, lambda last: str(last.signal.number))


@router.get("/signals/{signal_id}", summary="Get a signal", **document_responses(200, SignalDetailOut, 404))
async def get_signal(
    caller: ReadBooksCaller,
    signal_id: Annotated[SearchText, Path(max_length=150, description="ID of the signal")],
    readers: ReadersDep,
) -> Response:
    """Get one signal, its outcome, and the current statuses of its orders."""
    tenant_id = caller.tenant_id
    listed_signal = await readers.read(tenant_id, queries.find_signal, signal_id, caller.portfolios)
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
    return body.build_request(SignalChannel.REST, body.id or key_as_id)
