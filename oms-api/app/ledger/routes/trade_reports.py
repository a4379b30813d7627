"""Routes that report and reverse trades."""

from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from app.errors import OmsError
from app.http.app_state import get_request_info
from app.http.body import describe_body, json_body, parse_model, validate_flat
from app.http.direct_routes import JsonResponse, RequestInfo
from app.http.fields import SearchText
from app.http.idempotency import IdempotencyKey
from app.http.problems import build_problem
from app.http.responses import (
    REPLAYED_FIELD,
    REPLAYED_HEADER,
    REPLAYED_NAME,
    build_json_response,
    convert_response,
    document_responses,
)
from app.http.write_endpoint import WriteEndpoint
from app.identity.dependencies.authentication import require_permission
from app.identity.rules.access import Caller, Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ledger.dependencies import TradeServiceDep
from app.ledger.schemas import (
    BatchIn,
    OutcomesOut,
    RecordedOut,
    TradeIn,
    TradeReversalIn,
    serialize_recorded_trade,
    serialize_trade,
)  # fmt: skip
from app.ledger.service.commands import RecordedTrade, RecordTrade
from app.ledger.service.trade_service import TradeService

router = APIRouter(tags=["trades"])

ReportTradeCaller = Annotated[Caller, Depends(require_permission(Operation.REPORT_TRADE))]
ReverseTradeCaller = Annotated[Caller, Depends(require_permission(Operation.REVERSE_TRADE))]

TRADE_PATH = "/api/v1/trade"
TRADE_EXAMPLE: dict[str, Any] = {
    "symbol": "AAPL",
    "quantity": 100,
    "gmv": 17500.00,
    "side": "BUY",
    "portfolio_name": "Tech Portfolio",
    "user_id": "U123",
}
BatchBody = Annotated[BatchIn, Depends(json_body(BatchIn, {"trades": [TRADE_EXAMPLE]}))]
TradeReversalBody = Annotated[
    TradeReversalIn, Depends(json_body(TradeReversalIn, {"reason": "Reported twice"}))
]


@router.post(
    "/trade",
    summary="Report a trade",
    openapi_extra=describe_body(TradeIn, TRADE_EXAMPLE),
    **document_responses(201, RecordedOut, 409, headers=REPLAYED_HEADER),
)
async def report_trade(
    caller: ReportTradeCaller, service: TradeServiceDep, key: IdempotencyKey, request: Request
) -> Response:
    """Record an execution. The trade is on disk when the response 201 is sent."""
    return convert_response(
        await build_record_trade_endpoint(service).start(caller, get_request_info(request), key).wait()
    )


@router.post(
    "/trades:batch",
    summary="Report up to 1,000 trades",
    **document_responses(200, OutcomesOut, headers=REPLAYED_HEADER),
)
async def report_trades(
    caller: ReportTradeCaller,
    body: BatchBody,
    service: TradeServiceDep,
    key: IdempotencyKey,
    request: Request,
) -> Response:
    """Record up to 1,000 executions in order. Each item succeeds or fails on its own."""
    authenticated_request = AuthenticatedRequest(caller, get_request_info(request).request_id, key)
    drafts = [
        _build_command(service, authenticated_request, item, index) for index, item in enumerate(body.trades)
    ]
    results = iter(
        await service.record_commands([draft for draft in drafts if isinstance(draft, RecordTrade)])
    )
    outcomes = [next(results) if isinstance(draft, RecordTrade) else draft for draft in drafts]
    trades = [outcome for outcome in outcomes if isinstance(outcome, RecordedTrade)]
    headers = {REPLAYED_NAME: "true"} if trades and all(trade.is_replayed for trade in trades) else {}
    return build_json_response(
        {"outcomes": [_serialize_outcome(outcome, request) for outcome in outcomes]}, headers=headers
    )


@router.post(
    "/trades/{trade_id}:reverse",
    summary="Reverse a trade",
    **document_responses(201, RecordedOut, 404, 409, headers=REPLAYED_HEADER),
)
async def reverse_trade(
    caller: ReverseTradeCaller, trade_id: Annotated[SearchText, Path(max_length=32)], body: TradeReversalBody,
    service: TradeServiceDep, key: IdempotencyKey, request: Request,
) -> Response:  # fmt: skip
    """Add a row to the ledger that reverses a trade.

    The position is then the result of the other trades. A trade can be reversed once.
    """
    authenticated_request = AuthenticatedRequest(caller, get_request_info(request).request_id, key)
    reversal = await service.reverse(authenticated_request, trade_id, body.reason)
    headers = {REPLAYED_NAME: "true"} if reversal.is_replayed else {}
    return build_json_response(
        serialize_recorded_trade(serialize_trade(reversal.row, reversal.portfolio_name)), 201, headers
    )


def build_record_trade_endpoint(
    service: TradeService,
) -> WriteEndpoint[Operation, Caller, RecordTrade, RecordedTrade]:
    """Build the endpoint that reports a trade."""
    return WriteEndpoint(
        Operation.REPORT_TRADE, partial(_parse_command, service), service.submit, _build_response
    )


def _parse_command(
    service: TradeService, caller: Caller, request: RequestInfo, key: str | None
) -> RecordTrade:
    trade = parse_model(TradeIn, request.headers.get(b"content-type", b""), request.body)
    return service.build_record_command(
        AuthenticatedRequest(caller, request.request_id, key), trade.to_report()
    )


def _build_response(recorded_trade: RecordedTrade) -> JsonResponse:
    body = orjson.dumps(
        serialize_recorded_trade(serialize_trade(recorded_trade.row, recorded_trade.portfolio_name))
    )
    return JsonResponse(201, body, REPLAYED_FIELD if recorded_trade.is_replayed else ())


def _build_command(
    service: TradeService, authenticated_request: AuthenticatedRequest, item: object, index: int
) -> RecordTrade | OmsError:
    at = ("trades", str(index))
    key = authenticated_request.idempotency_key
    trade_request = authenticated_request._replace(idempotency_key=f"{key}:{index}" if key else None)
    try:
        trade = validate_flat(TradeIn, item, at)
        return service.build_record_command(trade_request, trade.to_report(), ".".join(at) + ".")
    except OmsError as error:
        return error


def _serialize_outcome(outcome: RecordedTrade | OmsError, request: Request) -> dict[str, Any]:
    if isinstance(outcome, OmsError):
        return {
            "status": outcome.status,
            "problem": build_problem(outcome, request.url.path, get_request_info(request).request_id),
        }
    return {"status": 201, "trade": serialize_trade(outcome.row, outcome.portfolio_name)}
