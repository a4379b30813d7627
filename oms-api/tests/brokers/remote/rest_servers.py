"""HTTP servers that answer like a broker, and clients for them."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override


class Answers:
    """A client that answers each path as a test says."""

    label = "Alpaca"

    def __init__(self, **paths: Any) -> None:
        self._paths = paths

    def get(self, path: str, _parameters: Mapping[str, str] | None = None) -> Any:
        """Return the answer of the last part of a path."""
        return self._paths[path.rpartition("/")[2]]


def create_client(**paths: Any) -> Any:
    """Return a client with these answers."""
    return Answers(**paths)


class FakeBrokerServer:
    """A server that answers each request as its fields say, each part after a pause."""

    def __init__(self) -> None:
        self.status, self.pause = 200, 0.0
        self.headers: dict[str, str] = {}
        self.parts = [b"{}"]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()
        with suppress(OSError):  # the client gave up
            for part in self.parts:
                handler.wfile.write(part)
                time.sleep(self.pause)


@contextmanager
def run_http_server(broker: FakeBrokerServer) -> Iterator[str]:
    """Run the server, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            broker.answer(self)

        def do_POST(self) -> None:
            broker.answer(self)

        @override
        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
