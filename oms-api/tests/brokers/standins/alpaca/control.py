"""Routes under /control that script the stand-in: quotes, fills and faults."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.market_data import MarketData
from tests.brokers.standins.alpaca.serialization import format_amount
from tests.brokers.standins.alpaca.stream import Stream
from tests.brokers.standins.faults import set_fields


class Control:
    """The control routes. `actions` lists them for the index."""

    def __init__(self, exchange: Exchange, stream: Stream, market_data: MarketData) -> None:
        self._exchange, self._stream = exchange, stream
        self._actions: dict[str, Callable[..., object]] = {
            "quote": exchange.quote,
            "bar": market_data.add_bar,
            "fill": exchange.fill,
            "expire": exchange.expire,
            "bust": exchange.bust,
            "correct": exchange.correct,
            "fault": exchange.faults.add,
            "order_fault": self.set_order_faults,
            "stream_fault": self.set_stream_faults,
            "cut_stream": stream.cut,
            "add_resting_orders": self.add_resting_orders,
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
        self._stream.flush()

    def set_order_faults(self, **fields: Any) -> None:
        """Set fields of the faults of orders."""
        set_fields(self._exchange.faults.orders, fields)

    def add_resting_orders(self, symbol: str, count: int) -> None:
        """Add limit orders that nothing reaches."""
        for _ in range(count):
            self._exchange.submit(
                {
                    "symbol": symbol,
                    "qty": "1",
                    "side": "buy",
                    "type": "limit",
                    "time_in_force": "gtc",
                    "limit_price": "0.01",
                }
            )

    async def _show(self, _request: Request) -> Response:
        with self._exchange.lock:
            return JSONResponse(
                {
                    "actions": sorted(self._actions),
                    "cash": format_amount(self._exchange.cash),
                    "orders": len(self._exchange.orders),
                    "open_orders": sum(order.is_open for order in self._exchange.orders.values()),
                    "executions": len(self._exchange.executions),
                    "positions": {
                        symbol: format_amount(position.qty)
                        for symbol, position in self._exchange.positions.items()
                        if position.qty
                    },
                    "quotes": {
                        symbol: [format_amount(amount) for amount in quote]
                        for symbol, quote in self._exchange.quotes.items()
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
        except (TypeError, ValueError, ArithmeticError, StopIteration) as error:
            return JSONResponse({"message": str(error)}, 422)
