"""Slow, idle and endless clients are disconnected in time, while others are served."""

import json
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.faults.load import PROMISED_SECONDS
from tests.support.processes import Process, run_process

PATIENCE_SECONDS = 60.0
BODY = json.dumps(build_trade_body()).encode()
HEAD = (
    f"POST /api/v1/trade HTTP/1.1\r\nHost: x\r\nX-API-Key: {BOOTSTRAP_KEY}\r\n"
    "Content-Type: application/json\r\n"
).encode()
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
SHORT, LONG = "0.4", "60"


@contextmanager
def limit_open_files(files: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def service_with_short_timeouts(new_database) -> Iterator[Process]:
    """Provide a service that waits only a moment for a head or a body."""
    settings = {
        "DATABASE_URL": new_database("sqlite"),
        "LOG_LEVEL": "WARNING",
        "WRITE_TIMEOUT_SECONDS": SHORT,
    }
    with run_process(**settings, HEADER_TIMEOUT_SECONDS=SHORT, BODY_TIMEOUT_SECONDS=SHORT) as service:
        yield service


@pytest.fixture(scope="module")
def service_with_long_timeouts(new_database) -> Iterator[Process]:
    """Provide a service that waits longer than any test, and starts where few files may be open."""
    settings = {"DATABASE_URL": new_database("sqlite"), "LOG_LEVEL": "WARNING"}
    with ExitStack() as stack:
        with limit_open_files(256):
            service = stack.enter_context(
                run_process(**settings, HEADER_TIMEOUT_SECONDS=LONG, BODY_TIMEOUT_SECONDS=LONG)
            )
        yield service


def connect_client(service: Process, sent: bytes = b"") -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
    client.sendall(sent)
    return client


def read_rest(client: socket.socket) -> bytes:
    """Return the bytes that arrive until the server closes the connection."""
    received = b""
    while piece := client.recv(65536):
        received += piece
    return received


def send_slowly(client: socket.socket, piece: bytes) -> bytes:
    """Send the same piece again and again until the server responds or closes. Return its response."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while is_silent(client, 0.02):
            assert time.monotonic() < deadline, "never cut off"
            client.sendall(piece)
        return read_rest(client)
    except ConnectionError:
        return b""


def is_silent(client: socket.socket, seconds: float) -> bool:
    """Return whether the connection is open without data. Use `poll`: `select` supports only 1,024 files."""
    waiting = select.poll()
    waiting.register(client, select.POLLIN)
    return not waiting.poll(seconds * 1000)


def is_open(client: socket.socket) -> bool:
    return is_silent(client, 0)


def test_thousand_idle_and_partial_requests_do_not_block_others(service_with_long_timeouts):
    requests = [b"", b"GET /health HTT", HEAD, HEAD + LENGTH + BODY[:10]]
    with (
        ExitStack() as stack,
        httpx.Client(base_url=service_with_long_timeouts.url, timeout=PATIENCE_SECONDS) as client,
    ):
        crowd = [
            stack.enter_context(connect_client(service_with_long_timeouts, requests[attempt % 4]))
            for attempt in range(1000)
        ]
        slowest = 0.0
        for number in range(50):
            began = time.monotonic()
            headers = {"X-API-Key": BOOTSTRAP_KEY, "Idempotency-Key": str(number)}
            assert client.post("/api/v1/trade", json=build_trade_body(), headers=headers).status_code == 201
            assert client.get("/api/v1/portfolio/Growth", headers=headers).status_code == 200
            slowest = max(slowest, time.monotonic() - began)
        assert all(map(is_open, crowd))
        assert slowest < PROMISED_SECONDS
        late = next(connection for number, connection in enumerate(crowd) if number % 4 == 3)
        late.sendall(BODY[10:])  # who was slow, yet in time, is served too
        assert late.recv(65536).startswith(b"HTTP/1.1 201")


@pytest.mark.parametrize("sent_bytes", [b"", b"\r\n"])
def test_idle_connection_is_closed(service_with_short_timeouts, sent_bytes):
    with connect_client(service_with_short_timeouts, sent_bytes) as client:
        assert read_rest(client) == b""


@pytest.mark.parametrize("sent_bytes", [b"GET /hea", HEAD])
def test_incomplete_head_is_answered_and_closed(service_with_short_timeouts, sent_bytes):
    with connect_client(service_with_short_timeouts, sent_bytes) as client:
        assert read_rest(client).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("sent_bytes", "piece"), [(b"GET /", b"x"), (HEAD, b"X-More: 1\r\n"), (b"\r\n", b"\r\n")]
)
def test_trickled_head_does_not_extend_its_timeout(service_with_short_timeouts, sent_bytes, piece):
    with connect_client(service_with_short_timeouts, sent_bytes) as client:
        assert send_slowly(client, piece)[:12] in {b"HTTP/1.1 408", b""}


@pytest.mark.parametrize("piece", [b"\r\n", b"GET /health HTTP/1.1\r\nHo"])
def test_second_head_has_the_same_timeout_as_the_first(service_with_short_timeouts, piece):
    whole = b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect_client(service_with_short_timeouts, whole) as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(piece)
        assert read_rest(client)[:12] in {b"HTTP/1.1 408", b""}


@pytest.mark.parametrize(
    "sent_bytes", [HEAD + LENGTH, HEAD + LENGTH + BODY[:-1], HEAD + CHUNKED, HEAD + CHUNKED + b"5\r\nab"]
)
def test_incomplete_body_is_answered_and_closed(service_with_short_timeouts, sent_bytes):
    with connect_client(service_with_short_timeouts, sent_bytes) as client:
        head, _, body = read_rest(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert b"\r\nconnection: close" in head
    problem = json.loads(body)
    assert problem["type"] == "urn:slackoms:problem/too-slow"
    assert problem["request_id"].encode() in head


@pytest.mark.parametrize(("sent_bytes", "piece"), [(HEAD + LENGTH, b" "), (HEAD + CHUNKED, b"1\r\n \r\n")])
def test_trickled_body_does_not_extend_its_timeout(service_with_short_timeouts, sent_bytes, piece):
    with connect_client(service_with_short_timeouts, sent_bytes) as client:
        assert send_slowly(client, piece)[:12] in {b"HTTP/1.1 408", b""}


def test_body_continued_after_a_rejection_is_disconnected(service_with_short_timeouts):
    chunk = b"186a0\r\n" + b" " * 100_000 + b"\r\n"
    with connect_client(service_with_short_timeouts, HEAD + CHUNKED) as client:
        deadline = time.monotonic() + PATIENCE_SECONDS
        received = b""
        try:
            while True:
                assert time.monotonic() < deadline, "never cut off"
                client.sendall(chunk)
                if not is_open(client):
                    received += client.recv(65536)
        except ConnectionError:
            pass
    assert received.startswith(b"HTTP/1.1 413")


def test_oversized_body_gets_its_error_before_the_disconnect(service_with_short_timeouts):
    with connect_client(service_with_short_timeouts, HEAD + b"Content-Length: 60000000\r\n\r\n") as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 413")
        send_slowly(client, b" " * 1000)


def test_trailer_fields_after_a_body_are_ignored_and_use_no_memory(service_with_long_timeouts):
    nobody = HEAD.replace(b"X-API-Key", b"X-Other")
    trailers = f"X-API-Key: {BOOTSTRAP_KEY}\r\nIdempotency-Key: late\r\nX-Request-ID: late\r\n\r\n".encode()
    for path in (b"/api/v1/trade", b"/api/v1/trades:batch"):
        request = nobody.replace(b"/api/v1/trade", path) + CHUNKED
        with connect_client(
            service_with_long_timeouts, request + b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY) + trailers
        ) as client:
            response = client.recv(65536)
        assert response.startswith(b"HTTP/1.1 401")
        assert b"x-request-id: late" not in response


def is_held(client: socket.socket) -> bool:
    """Tell whether the server still holds its end of the connection: the system keeps what is unsent."""
    own_port, peer_port = (f":{end[1]:04X}" for end in (client.getsockname(), client.getpeername()))
    ends = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = [end[9] for end in ends if end[1].endswith(peer_port) and end[2].endswith(own_port)]
    return inodes not in ([], ["0"])


def test_client_that_does_not_read_is_disconnected(service_with_short_timeouts):
    """The responses are larger than the socket buffers of a client that does not read."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect_client(service_with_short_timeouts, request * 100) as client:
        assert not is_silent(client, PATIENCE_SECONDS)  # it answers, and nobody reads that
        deadline = time.monotonic() + 3 * PATIENCE_SECONDS
        while is_held(client):
            assert time.monotonic() < deadline, "never cut off"
            time.sleep(0.05)
        assert read_rest(client).count(b"HTTP/1.1 200") < 100
