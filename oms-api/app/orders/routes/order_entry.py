"""Routes that preview, place, replace and cancel orders, and that bust and correct executions."""

from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response

from app.errors import FieldError, Invalid
from app.http.app_state import get_request_info
from app.http.body import describe_body, json_body, parse_model
from app.http.direct_routes import JsonResponse, RequestInfo
from app.http.fields import SearchText
from app.http.idempotency import IdempotencyKey
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
from app.orders.dependencies import CancellationsDep, OrderServiceDep, authenticate_request
from app.orders.errors import OrderDenied
from app.orders.rules.cancellations import CancellationFilter
from app.orders.rules.values import GroupKind, Status
from app.orders.schemas.executions import BustIn, CorrectionIn
from app.orders.schemas.requests import CancelAllIn, CancelIn, ChangesIn, GroupIn, TicketIn
from app.orders.schemas.responses import (
    CanceledOut,
    OrderOut,
    OrdersOut,
    PreviewOut,
    serialize_cancellation,
    serialize_order,
    serialize_preview,
)
from app.orders.service.command_results import OrderResult, Outcome
from app.orders.service.commands import PlaceOrder
from app.orders.service.order_service import OrderService
from app.orders.service.risk_checks.risk_evaluation import format_denial

router = APIRouter(tags=["orders"])

PlaceOrderCaller = Annotated[Caller, Depends(require_permission(Operation.PLACE_ORDER))]
PlaceGroupRequest = Annotated[AuthenticatedRequest, Depends(authenticate_request(Operation.PLACE_ORDER))]
PreviewOrderRequest = Annotated[AuthenticatedRequest, Depends(authenticate_request(Operation.PREVIEW_ORDER))]
ChangeOrderRequest = Annotated[AuthenticatedRequest, Depends(authenticate_request(Operation.CHANGE_ORDER))]
ExecutionChangeRequest = Annotated[
    AuthenticatedRequest, Depends(authenticate_request(Operation.BUST_EXECUTION))
]
CancelOrderRequest = Annotated[AuthenticatedRequest, Depends(authenticate_request(Operation.CANCEL_ORDER))]

ORDERS_PATH = "/api/v1/orders"
TICKET_EXAMPLE: dict[str, Any] = {
    "portfolio_name": "Growth",
    "symbol": "AAPL",
    "side": "BUY",
    "quantity": "10",
    "type": "MARKET",
    "time_in_force": "DAY",
}
_GROUP_EXAMPLE: dict[str, Any] = {
    "kind": "OCO",
    "orders": [
        {**TICKET_EXAMPLE, "side": "SELL", "type": "LIMIT", "limit_price": "100000"},
        {**TICKET_EXAMPLE, "side": "SELL", "type": "STOP", "stop_price": "1"},
    ],
}
_REPLAYED_HEADERS = {REPLAYED_NAME: "true"}
WRITE_ERROR_STATUSES = (404, 409, 413, 415)
OrderIdPath = Annotated[SearchText, Path(max_length=32)]
CancelAllBody = Annotated[CancelAllIn, Depends(json_body(CancelAllIn, {"symbol": "AAPL"}))]
CancelBody = Annotated[
    CancelIn, Depends(json_body(CancelIn, {"reason": "Changed my mind"}, is_required=False))
]
BustBody = Annotated[
    BustIn,
    Depends(json_body(BustIn, {"execution_id": "X16972345671230000a1b2c3d4", "reason": "Clearly erroneous"})),
]
CorrectionBody = Annotated[
    CorrectionIn,
    Depends(
        json_body(
            CorrectionIn,
            {
                "execution_id": "X16972345671230000a1b2c3d4",
                "price": "99.50",
                "reason": "Price corrected by NYSE",
            },
        )
    ),
]
ReplacementBody = Annotated[ChangesIn, Depends(json_body(ChangesIn, {"quantity": "20"}))]


@router.post(
    "/orders",
    summary="Place an order",
    openapi_extra=describe_body(TicketIn, TICKET_EXAMPLE),
    **document_responses(201, OrderOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def place_order(
    caller: PlaceOrderCaller, service: OrderServiceDep, key: IdempotencyKey, request: Request
) -> Response:
    """Place an order.

    The response is the order after one attempt to match it. Its `status` is usually FILLED, or ACCEPTED if
    the order waits for a price. At a broker other than the paper broker it is SUBMITTED. If the order is sent
    later, it is HELD or AWAITING_APPROVAL. PARTIALLY_FILLED, CANCELED, EXPIRED and REJECTED are also
    possible. If a risk check denies the order, it is stored as DENIED, and the response is 422 with a problem
    document that includes the limit and the requested value.
    """
    return convert_response(
        await build_place_order_endpoint(service).start(caller, get_request_info(request), key).wait()
    )


@router.post(
    "/orders:group",
    summary="Place an OCO or OTO group",
    **document_responses(201, OrdersOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def place_group(
    request: PlaceGroupRequest, body: Annotated[GroupIn, Depends(json_body(GroupIn, _GROUP_EXAMPLE))],
    service: OrderServiceDep,
) -> Response:  # fmt: skip
    """Place two linked orders.

    OCO: a fill of one reduces or cancels the other. OTO: the second is sent when the first has filled.
    """
    first, second = body.orders
    if first.portfolio_name != second.portfolio_name:
        message = "Both orders of a group must be in the same portfolio."
        raise Invalid(message, [FieldError("orders.1.portfolio_name", message, "other_portfolio")])
    if first.take_profit or first.stop_loss or second.take_profit or second.stop_loss:
        message = "An order of a group cannot have legs; leave `take_profit` and `stop_loss` out."
        raise Invalid(message, [FieldError("orders", message, "legs_in_a_group")])
    tickets = [order.to_ticket() for order in body.orders]
    result = await service.place_group(request, GroupKind(body.kind), first.portfolio_name, tickets)
    return build_orders_response(raise_if_denied(result), 201)


@router.post("/orders:preview", summary="Preview an order", **document_responses(200, PreviewOut, 404))
async def preview_order(
    request: PreviewOrderRequest, body: Annotated[TicketIn, Depends(json_body(TicketIn, TICKET_EXAMPLE))],
    service: OrderServiceDep,
) -> Response:  # fmt: skip
    """Check an order without placing it.

    The response contains the expected price, the resulting cash and position, and the result of each risk
    check.
    """
    previewed = await service.preview(request, body.portfolio_name, body.to_ticket())
    denial = orjson.loads(format_denial(previewed.denial)) if previewed.denial else None
    return build_json_response(serialize_preview(previewed, denial))


@router.post(
    "/orders:cancel-all",
    summary="Cancel all matching orders",
    **document_responses(200, CanceledOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def cancel_all(
    request: CancelOrderRequest, body: CancelAllBody, service: OrderServiceDep,
    cancellations: CancellationsDep,
) -> Response:  # fmt: skip
    """Cancel all open orders that match and were created before the request.

    With `portfolio_name`, one transaction cancels the orders, and `pending_portfolios` is empty. Without it,
    the request is stored, then the orders are canceled portfolio by portfolio. `pending_portfolios` lists the
    portfolios whose orders were not all canceled within five seconds. The service continues with them, even
    after a restart: do not send the request again for them.
    """
    if body.portfolio_name is not None:
        views = (await service.cancel_all(request, **body.model_dump())).orders
        return build_json_response(serialize_cancellation(views, []), 200)
    filter_ = CancellationFilter(body.symbol, body.side, body.strategy)
    result = await cancellations.cancel_all(request, filter_, body.reason)
    content = serialize_cancellation(result.orders, result.pending_portfolios)
    return build_json_response(content, 200, _REPLAYED_HEADERS if result.replayed else None)


@router.post(
    "/orders/{order_id}/cancel",
    summary="Cancel an order",
    **document_responses(200, OrderOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def cancel_order(
    request: CancelOrderRequest, order_id: OrderIdPath, body: CancelBody, service: OrderServiceDep
) -> Response:
    """Cancel an order. Earlier fills are kept. The body is optional."""
    result = await service.cancel(request, order_id, body.reason)
    return build_order_response(result, 200)


@router.post(
    "/orders/{order_id}/bust",
    summary="Bust an execution of an order",
    **document_responses(200, OrderOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def bust_execution(
    request: ExecutionChangeRequest, order_id: OrderIdPath, body: BustBody, service: OrderServiceDep
) -> Response:
    """Reverse an execution that its venue canceled.

    The trade and its charges are reversed, and the order's filled quantity and average price are computed
    again. The order keeps its status. If it is open, the reversed quantity can fill again. If the execution
    had reduced a position, open exits are increased, and exits that already ended are placed again, so that
    they cover the whole position. `legs` lists them.
    """
    return build_order_response(await service.bust(request, order_id, body.execution_id, body.reason), 200)


@router.post(
    "/orders/{order_id}/correct",
    summary="Correct an execution of an order",
    **document_responses(200, OrderOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def correct_execution(
    request: ExecutionChangeRequest, order_id: OrderIdPath, body: CorrectionBody, service: OrderServiceDep
) -> Response:
    """Correct the quantity or the price of an execution after its venue corrected it.

    The execution is reversed, and a new one is booked with the time of the original and newly computed
    charges. Its ID is `<execution_id>:correction1`. The ID of a second correction ends with `:correction2`.
    Exits are adjusted to the quantity, as after a bust.
    """
    result = await service.correct(
        request,
        order_id,
        execution_id=body.execution_id,
        quantity=body.quantity,
        price=body.price,
        reason=body.reason,
    )
    return build_order_response(result, 200)


@router.patch(
    "/orders/{order_id}",
    summary="Replace an order",
    **document_responses(200, OrderOut, *WRITE_ERROR_STATUSES, headers=REPLAYED_HEADER),
)
async def replace_order(
    request: ChangeOrderRequest, order_id: OrderIdPath, body: ReplacementBody, service: OrderServiceDep
) -> Response:
    """Replace an order.

    The response is the new order. `quantity` is the total order quantity, including filled units. To keep 5
    of 10 units open after 5 have filled, send 10.
    """
    changes = body.to_changes()
    if changes.is_empty:
        raise Invalid(
            "The request changes nothing; send at least one field.",
            [FieldError("body", "Must contain at least one field.", "empty")],
        )
    return build_order_response(raise_if_denied(await service.replace(request, order_id, changes)), 200)


def build_place_order_endpoint(
    service: OrderService,
) -> WriteEndpoint[Operation, Caller, PlaceOrder, Outcome]:
    """Return the endpoint that places an order."""
    parse = partial(_parse_place_request, service)
    return WriteEndpoint(
        Operation.PLACE_ORDER, parse, service.submit, _build_place_response, service.enrich_error
    )


def _parse_place_request(
    service: OrderService, caller: Caller, request: RequestInfo, key: str | None
) -> PlaceOrder:
    body = parse_model(TicketIn, request.headers.get(b"content-type", b""), request.body)
    return service.build_place_command(
        AuthenticatedRequest(caller, request.request_id, key), body.portfolio_name, body.to_ticket()
    )


def _build_place_response(outcome: Outcome) -> JsonResponse:
    assert isinstance(outcome, OrderResult)  # noqa: S101  # for the type checker
    result = raise_if_denied(outcome)
    return JsonResponse(
        201, orjson.dumps(serialize_order(result.orders[0])), REPLAYED_FIELD if result.replayed else ()
    )


def raise_if_denied(result: OrderResult) -> OrderResult:
    """Return the result. Raises OrderDenied if risk denied one of its orders."""
    for view in result.orders:
        if view.order.status is Status.DENIED and view.order.denial:
            denial = orjson.loads(view.order.denial)
            raise OrderDenied(
                denial["message"], view.order.id, denial, _REPLAYED_HEADERS if result.replayed else {}
            )
    return result


def build_order_response(result: OrderResult, status: int) -> Response:
    """Return the response with the first order of the result."""
    return build_json_response(
        serialize_order(result.orders[0]), status, _REPLAYED_HEADERS if result.replayed else None
    )


def build_orders_response(result: OrderResult, status: int) -> Response:
    """Return the response with all orders of the result."""
    content = {"orders": [serialize_order(view) for view in result.orders]}
    return build_json_response(content, status, _REPLAYED_HEADERS if result.replayed else None)
