"""The credentials of a stream are sent only to the address of the broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest
from websockets.sync.server import ServerConnection, serve

from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.client import AlpacaCredentials
from tests.brokers.remote.rest_servers import FakeBrokerServer, run_http_server
from tests.support.conditions import wait_until

CANARY = AlpacaCredentials("PK1", "canary-of-a-secret")


@contextmanager
def run_websocket_server(received: list[str | bytes]) -> Iterator[str]:
    """Run a WebSocket server that records its messages, and yield its address."""

    def receive(socket: ServerConnection) -> None:
        received.extend(socket)

    with serve(receive, "127.0.0.1", 0) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/stream"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_of_the_stream_is_not_followed_with_the_credentials(status):
    received = list[str | bytes]()
    server = FakeBrokerServer()
    with run_websocket_server(received) as other, run_http_server(server) as url:
        server.status, server.headers = status, {"Location": other}
        broker = AlpacaBroker(url, CANARY)
        broker.stream.start()
        wait_until(lambda: broker.stream.last_error or received)
        broker.close()
    assert received == []
    assert broker.stream.last_error == f"Alpaca answered {status} instead of opening its stream."
