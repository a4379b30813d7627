"""The routes of Alpaca's market data: the latest quotes, and bars. Amounts are JSON numbers here."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.serialization import format_time


class MarketData:
    """Serves the quotes of the exchange, and the bars that were added."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._bars: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def build_routes(self) -> list[Route]:
        return [
            Route("/v2/stocks/quotes/latest", self._list_quotes),
            Route("/v2/stocks/bars", self._list_bars),
            Route("/v1beta3/crypto/us/latest/quotes", self._list_quotes),
            Route("/v1beta3/crypto/us/bars", self._list_bars),
        ]

    def add_bar(self, symbol: str, timeframe: str, start: str, prices: str, volume: str = "0") -> None:
        """Add a bar. `prices` are open, high, low and close: "99/101/98/100"."""
        amounts = dict(zip("ohlc", (float(price) for price in prices.split("/")), strict=True))
        bar = {"t": start, **amounts, "v": float(volume), "n": 1, "vw": amounts["c"]}
        self._bars.setdefault((symbol, timeframe), []).append(bar)

    async def _list_quotes(self, request: Request) -> Response:
        now = format_time(datetime.now(UTC))
        with self._exchange.lock:
            quotes = {
                symbol: {
                    "t": now, "c": ["R"], "z": "C",
                    "bp": _parse_number(quote.bid), "bs": _parse_number(quote.bid_size), "bx": "V",
                    "ap": _parse_number(quote.ask), "as": _parse_number(quote.ask_size), "ax": "V",
                }
                for symbol in request.query_params["symbols"].split(",")
                if (quote := self._exchange.quotes.get(symbol)) is not None
            }  # fmt: skip
        return JSONResponse({"quotes": quotes})

    async def _list_bars(self, request: Request) -> Response:
        parameters = request.query_params
        start = parameters.get("start", "")
        quotes = {
            symbol: [
                bar for bar in self._bars.get((symbol, parameters["timeframe"]), []) if bar["t"] >= start
            ]
            for symbol in parameters["symbols"].split(",")
        }
        return JSONResponse({"bars": quotes, "next_page_token": None})


def _parse_number(amount: Decimal) -> float:
    return float(amount)
