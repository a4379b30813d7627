"""Routes that close positions and set their exits."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app.http.body import json_body
from app.http.fields import SearchText
from app.http.responses import REPLAYED_HEADER, document_responses
from app.identity.rules.access import Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.instruments.schemas import Symbol
from app.orders.dependencies import OrderServiceDep, authenticate_request
from app.orders.routes.order_entry import (
    REFUSALS,
    ChangeOrderRequest,
    build_order_response,
    build_orders_response,
    raise_if_denied,
)
from app.orders.schemas.requests import CloseIn, ExitsIn
from app.orders.schemas.responses import OrderOut, OrdersOut

router = APIRouter(tags=["positions"])

ClosePositionRequest = Annotated[
    AuthenticatedRequest, Depends(authenticate_request(Operation.CLOSE_POSITION))
]
CloseBody = Annotated[CloseIn, Depends(json_body(CloseIn, {"portfolio_name": "Growth", "symbol": "AAPL"}))]
ExitsBody = Annotated[
    ExitsIn,
    Depends(json_body(ExitsIn, {"take_profit": {"limit_price": "100000"}, "stop_loss": {"stop_price": "1"}})),
]


@router.post(
    "/positions:close",
    summary="Close a position",
    **document_responses(201, OrderOut, *REFUSALS, headers=REPLAYED_HEADER),
)
async def close_position(
    request: ClosePositionRequest, body: CloseBody, service: OrderServiceDep
) -> Response:
    """Close a position, or a part of it, at market."""
    result = await service.close(
        request,
        body.portfolio_name,
        symbol=body.symbol,
        product=body.product or "",
        quantity=body.quantity,
        reason=body.reason,
    )
    return build_order_response(raise_if_denied(result), 201)


@router.put(
    "/positions/{portfolio}/{symbol:path}/exits",
    summary="Set the exits of a position",
    **document_responses(200, OrdersOut, *REFUSALS, headers=REPLAYED_HEADER),
)
async def set_exits(
    request: ChangeOrderRequest, portfolio: Annotated[SearchText, Path()], symbol: Annotated[Symbol, Path()],
    body: ExitsBody, service: OrderServiceDep,
) -> Response:  # fmt: skip
    """Set the stop-loss and the take-profit of an open position.

    They replace the position's present exits, and each closes its whole quantity. The response lists the exit
    orders.
    """
    result = await service.set_exits(request, portfolio.strip(), symbol, body.product or "", *body.to_exits())
    return build_orders_response(raise_if_denied(result), 200)
