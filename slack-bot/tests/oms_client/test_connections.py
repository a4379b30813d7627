"""Connections to the OMS: kept open, replaced when the server closed them, no change sent twice."""

import http.server
import threading
from typing import Any

import pytest
from typing_extensions import override

from app.oms_client import connections
from app.oms_client.connections import Connections, HttpError, RequestNotSent


class Server(http.server.ThreadingHTTPServer):
    """Record the requests. `closes`: close a connection after its response, without saying so."""

    daemon_threads = True
    closes = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[Any, ...]] = []
        self.closed_connections = threading.Semaphore(0)

    @override
    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        self.closed_connections.release()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self):
        self.server.requests.append((self.command, self.path, self.client_address, self.headers.get("X-One")))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        body = b'{"a": 1}'
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.server.closes

    def do_POST(self):
        self.do_GET()

    @override
    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture
def server():
    fake_server = Server()
    thread = threading.Thread(target=fake_server.serve_forever, args=(0.02,))
    thread.start()
    yield fake_server
    fake_server.shutdown()
    fake_server.server_close()
    thread.join()


@pytest.fixture
def client(server):
    connections = Connections(f"http://127.0.0.1:{server.server_port}/base", {"X-One": "1"}, 5.0)
    yield connections
    connections.close()


def test_connection_is_used_again(client, server):
    for _ in range(2):
        response = client.request("GET", "/x", seconds=10.0, params={"q": "a b"})
    assert response.status_code == 200
    assert response.json() == {"a": 1}
    (first, second) = server.requests
    assert first == second == ("GET", "/base/x?q=a+b", first[2], "1")


def test_connection_that_the_server_closed_is_replaced(client, server):
    server.closes = True
    for method in ("GET", "POST", "POST"):
        assert client.request(method, "/x", seconds=10.0, body={}).status_code == 200
        assert server.closed_connections.acquire(timeout=60.0)
    assert len({address for _, _, address, _ in server.requests}) == 3


def test_request_is_never_sent_again(client, server, monkeypatch):
    # The server closes at this moment.
    monkeypatch.setattr(connections, "_is_closed_by_server", lambda _: False)
    server.closes = True
    client.request("GET", "/x", seconds=10.0)
    for method in ("GET", "POST"):
        with pytest.raises(HttpError):
            client.request(method, "/x", seconds=10.0, body={})
        client.request("GET", "/x", seconds=10.0)
    assert len(server.requests) == 3


def test_request_without_a_connection_is_not_sent(server):
    server.shutdown()  # a thread that waits for connections keeps the port open
    server.server_close()
    with pytest.raises(RequestNotSent):
        Connections(f"http://127.0.0.1:{server.server_port}", {}, 5.0).request("GET", "/x", seconds=10.0)


def test_large_file_is_given_up(client):
    assert client.download("/x", {}, {}, seconds=10.0, limit=100).content == b'{"a": 1}'
    assert client.download("/x", {}, {}, seconds=10.0, limit=3) is None


def test_proxy_of_the_environment_gets_the_request(server, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    client = Connections("http://oms.example", {}, 5.0)
    assert client.request("GET", "/x", seconds=10.0).status_code == 200
    client.close()
    assert server.requests[0][1] == "http://oms.example/x"
