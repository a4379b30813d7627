"""The stand-in as a server on the loopback address."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from typing_extensions import override

from tests.brokers.standins.faults import Faults
from tests.brokers.standins.kite.control import Control
from tests.brokers.standins.kite.exchange import Exchange
from tests.brokers.standins.kite.rest import KiteGateway, Rest, Sessions, answer_refusal
from tests.brokers.standins.kite.stream import Ticker
from tests.brokers.standins.kite.values import KiteError
from tests.brokers.standins.server import LoopbackServer

API_KEY, API_SECRET = "kite-standin-key", "kite-standin-secret"
ACCESS_TOKEN = "kite-standin-token"


class StandIn(LoopbackServer):
    """A running stand-in of Kite. It begins with a session, whose access token is ACCESS_TOKEN."""

    def __init__(self, port: int = 0, api_key: str = API_KEY, api_secret: str = API_SECRET) -> None:
        self.faults = Faults()
        self.exchange = Exchange(self.faults)
        self.sessions = Sessions(api_key, api_secret, ACCESS_TOKEN)
        self.ticker = Ticker(self.exchange, self.sessions)
        self.routes = Rest(self.exchange, self.sessions)
        routes = [
            *self.routes.build_routes(),
            *Control(self.exchange, self.ticker, self.sessions).build_routes(),
            WebSocketRoute("/", self.ticker.serve),
        ]
        app = Starlette(routes=routes, exception_handlers={KiteError: answer_refusal})
        app.router.redirect_slashes = False
        self.gateway = KiteGateway(app, self.faults, self.sessions)
        super().__init__(self.gateway, "kite-stand-in", port)

    @override
    def cut(self) -> None:
        self.ticker.cut()

    def clear(self) -> None:
        """Forget all orders, faults, sessions and requests, and cut the connections of the socket."""
        self.faults.clear()
        self.sessions.clear()
        self.ticker.clear()
        self.exchange.clear()
        self.routes.clear()
        self.gateway.requests.clear()
