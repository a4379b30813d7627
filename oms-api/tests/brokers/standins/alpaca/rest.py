"""The routes of /v2, and the authentication and faults of every request."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from typing_extensions import override

from tests.brokers.standins.alpaca import serialization
from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.values import ZERO, AlpacaError, Order
from tests.brokers.standins.faults import Faults, RequestFault
from tests.brokers.standins.gateway import Gateway

_AUTHENTICATED = ("/v2/", "/v1beta3/")
MAX_ORDERS = 500
MAX_ACTIVITIES = 100
Credentials = tuple[str, str]


def build_routes(exchange: Exchange) -> list[Route]:
    """Return the routes. The route by client order id precedes the route by id."""
    routes = _Rest(exchange)
    return [
        Route("/v2/account", routes.get_account),
        Route("/v2/account/activities", routes.list_activities),
        Route("/v2/account/activities/FILL", routes.list_activities),
        Route("/v2/orders", routes.list_orders, methods=["GET"]),
        Route("/v2/orders", routes.submit_order, methods=["POST"]),
        Route("/v2/orders", routes.cancel_all, methods=["DELETE"]),
        Route("/v2/orders:by_client_order_id", routes.get_by_client_order_id),
        Route("/v2/orders/{order_id}", routes.get_order, methods=["GET"]),
        Route("/v2/orders/{order_id}", routes.replace_order, methods=["PATCH"]),
        Route("/v2/orders/{order_id}", routes.cancel_order, methods=["DELETE"]),
        Route("/v2/positions", routes.list_positions),
        Route("/v2/positions/{name:path}", routes.get_position),
        Route("/v2/assets", routes.list_assets),
        Route("/v2/assets/{name:path}", routes.get_asset),
        Route("/v2/clock", routes.get_clock),
    ]


class _Rest:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def get_account(self, _request: Request) -> Response:
        with self._exchange.lock:
            value = sum((position.cost for position in self._exchange.positions.values()), ZERO)
            number, cash = self._exchange.account_number, self._exchange.cash
        return JSONResponse(serialization.serialize_account(number, cash, value))

    async def list_activities(self, request: Request) -> Response:
        with self._exchange.lock:
            executions = list(self._exchange.executions)
        is_renamed = self._exchange.faults.orders.renames_fills
        after = request.query_params.get("after")
        if after is not None:
            executions = [execution for execution in executions if execution.at > _parse_time(after)]
        if request.query_params.get("direction", "desc") == "desc":
            executions.reverse()
        token = request.query_params.get("page_token")
        if token is not None:
            ids = [serialization.activity_id(execution, is_renamed=is_renamed) for execution in executions]
            executions = executions[ids.index(token) + 1 :] if token in ids else []
        size = min(int(request.query_params.get("page_size", MAX_ACTIVITIES)), MAX_ACTIVITIES)
        page = [
            serialization.serialize_activity(execution, is_renamed=is_renamed)
            for execution in executions[:size]
        ]
        return JSONResponse(page)

    async def list_orders(self, request: Request) -> Response:
        with self._exchange.lock:
            orders = [order for order in self._exchange.orders.values() if _is_selected(order, request)]
        if request.query_params.get("direction", "desc") == "desc":
            orders.reverse()
        size = min(int(request.query_params.get("limit", 50)), MAX_ORDERS)
        is_nested = _is_nested(request)
        page = [serialization.serialize_order(order, is_nested=is_nested) for order in orders[:size]]
        return JSONResponse(page)

    async def submit_order(self, request: Request) -> Response:
        return JSONResponse(self._exchange.submit(await _read_body(request)))

    async def cancel_all(self, _request: Request) -> Response:
        results = []
        with self._exchange.lock:
            for order in [order for order in self._exchange.orders.values() if order.is_open]:
                self._exchange.cancel(order.id)
                results.append({"id": order.id, "status": 200, "body": None})
        return JSONResponse(results, 207)

    async def get_by_client_order_id(self, request: Request) -> Response:
        client_order_id = request.query_params.get("client_order_id", "")
        with self._exchange.lock:
            order = self._exchange.get_order_by_client_order_id(client_order_id)
            return JSONResponse(serialization.serialize_order(order))

    async def get_order(self, request: Request) -> Response:
        with self._exchange.lock:
            order = self._exchange.get_order(request.path_params["order_id"])
            return JSONResponse(serialization.serialize_order(order, is_nested=_is_nested(request)))

    async def replace_order(self, request: Request) -> Response:
        body = await _read_body(request)
        return JSONResponse(self._exchange.replace(request.path_params["order_id"], body))

    async def cancel_order(self, request: Request) -> Response:
        self._exchange.cancel(request.path_params["order_id"])
        return Response(status_code=204)

    async def list_positions(self, _request: Request) -> Response:
        with self._exchange.lock:
            assets = [
                serialization.serialize_position(position, self._exchange.quotes.get(symbol))
                for symbol, position in self._exchange.positions.items()
                if position.qty
            ]
        return JSONResponse(assets)

    async def get_position(self, request: Request) -> Response:
        with self._exchange.lock:
            asset = self._exchange.get_asset(request.path_params["name"])
            position = self._exchange.positions.get(asset.symbol)
            if position is None or not position.qty:
                raise AlpacaError(404, 40410000, "position does not exist")
            quote = self._exchange.quotes.get(asset.symbol)
            return JSONResponse(serialization.serialize_position(position, quote))

    async def list_assets(self, request: Request) -> Response:
        asset_class = request.query_params.get("asset_class")
        assets = (
            asset for asset in self._exchange.assets.values() if asset_class in {None, asset.asset_class}
        )
        return JSONResponse([serialization.serialize_asset(asset) for asset in assets])

    async def get_asset(self, request: Request) -> Response:
        asset = self._exchange.get_asset(request.path_params["name"])
        return JSONResponse(serialization.serialize_asset(asset))

    async def get_clock(self, _request: Request) -> Response:
        now = datetime.now(UTC)
        times = {
            "timestamp": now,
            "next_open": now + timedelta(hours=18),
            "next_close": now + timedelta(hours=4),
        }
        return JSONResponse(
            {"is_open": True} | {name: serialization.format_time(at) for name, at in times.items()}
        )


def _is_selected(order: Order, request: Request) -> bool:
    parameters = request.query_params
    status = parameters.get("status", "open")
    after, until = parameters.get("after"), parameters.get("until")
    symbols = parameters.get("symbols")
    if order.parent is not None and _is_nested(request):
        return False  # it is shown with its parent, and not at all if that has ended
    is_listed = order.is_open and (order.status != "held" or order.parent is None)
    return (
        (status == "all" or is_listed == (status == "open"))
        and (after is None or order.created_at > _parse_time(after))
        and (until is None or order.created_at < _parse_time(until))
        and (symbols is None or order.asset.symbol in symbols.split(","))
        and parameters.get("side") in {None, order.side}
    )


def _is_nested(request: Request) -> bool:
    return request.query_params.get("nested", "").lower() == "true"


def _parse_time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _read_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body(), parse_float=Decimal)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AlpacaError(400, 40010000, "request body format is invalid")
    return body


def _build_error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)


class AlpacaGateway(Gateway):
    """The requests of /v2 and the market data."""

    prefixes = _AUTHENTICATED

    def __init__(self, app: ASGIApp, faults: Faults, credentials: Credentials) -> None:
        super().__init__(app, faults)
        self._credentials = credentials

    @override
    def find_refusal(self, headers: dict[str, str], path: str) -> Response | None:
        credentials = headers.get("apca-api-key-id"), headers.get("apca-api-secret-key")
        return (
            None
            if credentials == self._credentials
            else _build_error(401, 40110000, "request is not authorized")
        )

    @override
    def build_fault_response(self, fault: RequestFault) -> Response:
        message = "too many requests." if fault.status == 429 else "internal server error occurred"
        return _build_error(fault.status, fault.status * 100000, message)


async def answer_refusal(_request: Request, error: Exception) -> Response:  # Starlette's interface
    """Answer an AlpacaError."""
    assert isinstance(error, AlpacaError)
    return _build_error(error.status, error.code, error.message)
