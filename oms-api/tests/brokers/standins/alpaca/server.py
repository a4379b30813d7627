"""The stand-in as a server on the loopback address: in a thread of the tests, or as a program."""

import socket
import threading
import time
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tests.brokers.standins.alpaca.control import Control
from tests.brokers.standins.alpaca.exchange import Exchange
from tests.brokers.standins.alpaca.faults import Faults
from tests.brokers.standins.alpaca.market_data import MarketData
from tests.brokers.standins.alpaca.rest import Gateway, answer_refusal, build_routes
from tests.brokers.standins.alpaca.stream import Stream
from tests.brokers.standins.alpaca.values import AlpacaError

LOOPBACK = "127.0.0.1"
KEY_ID, SECRET_KEY = "PKSTANDIN", "secret-of-the-stand-in"
START_SECONDS = 30.0


class StandIn:
    """A running stand-in. Use it as a context, or call `run` to serve until the process is stopped."""

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
        self.gateway = Gateway(app, self.exchange, credentials)
        self._socket = socket.create_server((LOOPBACK, port))
        self.url = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self.gateway,
            log_level="warning",
            access_log=False,
            lifespan="off",
            http="httptools",
            ws="websockets-sansio",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def stream_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/stream"

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def start(self) -> Self:
        """Serve in a thread, and return when it is ready."""
        self._thread = threading.Thread(target=self.run, name="alpaca-stand-in", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            assert time.monotonic() < deadline, "the stand-in did not start"
            time.sleep(0.005)
        return self

    def clear(self) -> None:
        """Forget all orders, faults and requests, and cut the connections of the stream."""
        self.faults.clear()
        self.stream.clear()
        self.exchange.clear()
        self.gateway.requests.clear()
        self.gateway.requests_left = None

    def close(self) -> None:
        self.stream.cut()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
