"""Routes under /control that script the stand-in: quotes, fills, sessions and faults."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.brokers.standins.faults import set_fields
from tests.brokers.standins.kite.exchange import Exchange
from tests.brokers.standins.kite.rest import Sessions
from tests.brokers.standins.kite.stream import Ticker
from tests.brokers.standins.kite.values import KiteError


class Control:
    """The control routes. `GET /control` lists the actions and shows the account."""

    def __init__(self, exchange: Exchange, ticker: Ticker, sessions: Sessions) -> None:
        self._exchange, self._ticker = exchange, ticker
        self._actions: dict[str, Callable[..., object]] = {
            "quote": exchange.quote,
            "fill": exchange.fill,
            "hold": exchange.hold,
            "close_day": exchange.close_day,
            "fault": exchange.faults.add,
            "order_fault": self.set_order_faults,
            "stream_fault": self.set_stream_faults,
            "cut_stream": ticker.cut,
            "expire_session": sessions.expire,
            "log_in": sessions.create_request_token,
            "clear_faults": exchange.faults.clear,
        }

    def build_routes(self) -> list[Route]:
        return [
            Route("/health", self._show),
            Route("/control", self._show),
            Route("/control/{action}", self._act, methods=["POST"]),
        ]

    def set_stream_faults(self, **fields: Any) -> None:
        """Set fields of the stream's faults, and send messages that are no longer held back."""
        set_fields(self._exchange.faults.stream, fields)
        self._ticker.flush()

    def set_order_faults(self, **fields: Any) -> None:
        """Set fields of the faults of orders."""
        set_fields(self._exchange.faults.orders, fields)

    async def _show(self, _request: Request) -> Response:
        exchange = self._exchange
        with exchange.lock:
            return JSONResponse(
                {
                    "actions": sorted(self._actions),
                    "cash": str(exchange.cash),
                    "orders": [order.serialize() for order in exchange.orders.values()],
                    "trades": len(exchange.trades),
                    "positions": [position.serialize() for position in exchange.positions.values()],
                    "quotes": {
                        symbol: [str(value) for value in quote] for symbol, quote in exchange.quotes.items()
                    },
                }
            )

    async def _act(self, request: Request) -> Response:
        action = self._actions.get(request.path_params["action"])
        if action is None:
            return JSONResponse({"message": f"actions: {', '.join(sorted(self._actions))}"}, 404)
        body = await request.body()
        fields = await request.json() if body else {}
        try:
            return JSONResponse({"result": action(**fields)})
        except (TypeError, ValueError, ArithmeticError, KeyError, KiteError) as error:
            return JSONResponse({"message": str(error)}, 422)
