"""The stand-in as a server on the loopback address."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from typing_extensions import override

from tests.brokers.standins.alpaca.control import Control
from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.market_data import MarketData
from tests.brokers.standins.alpaca.rest import AlpacaGateway, answer_refusal, build_routes
from tests.brokers.standins.alpaca.stream import Stream
from tests.brokers.standins.alpaca.values import AlpacaError
from tests.brokers.standins.faults import Faults
from tests.brokers.standins.server import LoopbackServer

KEY_ID, SECRET_KEY = "PKSTANDIN", "secret-of-the-stand-in"


class StandIn(LoopbackServer):
    """A running stand-in of Alpaca."""

    def __init__(self, port: int = 0, key_id: str = KEY_ID, secret_key: str = SECRET_KEY) -> None:
        self.faults = Faults()
        self.exchange = Exchange(self.faults)
        credentials = (key_id, secret_key)
        self.stream = Stream(self.exchange, credentials)
        self.market_data = MarketData(self.exchange)
        self.control = Control(self.exchange, self.stream, self.market_data)
        app = Starlette(
            routes=[
                *build_routes(self.exchange),
                *self.market_data.build_routes(),
                *self.control.build_routes(),
                WebSocketRoute("/stream", self.stream.serve),
            ],
            exception_handlers={AlpacaError: answer_refusal},
        )
        app.router.redirect_slashes = False
        self.gateway = AlpacaGateway(app, self.faults, credentials)
        super().__init__(self.gateway, "alpaca-stand-in", port)

    @override
    def cut(self) -> None:
        self.stream.cut()

    def clear(self) -> None:
        """Forget all orders, faults and requests, and cut the connections of the stream."""
        self.faults.clear()
        self.stream.clear()
        self.exchange.clear()
        self.gateway.requests.clear()
        self.gateway.requests_left = None
