"""A complete request is answered; bytes after it close the connection."""

import asyncio
import json
from typing import Any
from unittest.mock import Mock

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from app import main
from app.http_server.protocol import MAX_HEAD_BYTES, LimitedHttpProtocol, set_timeouts
from tests.factories import BOOTSTRAP_KEY, build_trade_body
from tests.support.conditions import WAIT_SECONDS
from tests.support.processes import run_process
from tests.support.service import build_settings

BODY = json.dumps(build_trade_body()).encode()
TRADE = (
    b"POST /api/v1/trade HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
) % (BOOTSTRAP_KEY.encode(), len(BODY), BODY)
PROBE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
BROKEN_CHUNK = (
    b"POST /api/v1/trade HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
) % BOOTSTRAP_KEY.encode()


@pytest.fixture(scope="module")
def server(new_database):
    with run_process(DATABASE_URL=new_database("sqlite")) as process:
        yield process


def send_pieces(server, *pieces: bytes, pause: float = 0.0) -> list[int]:
    """Send the pieces over one connection, and return the statuses of all answers until it is closed."""

    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(pause)
            return await asyncio.wait_for(reader.read(), WAIT_SECONDS)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    responses = asyncio.run(talk())
    return [
        int(part.split(b" ", 2)[1]) for part in responses.split(b"HTTP/1.1")[1:] for part in [b"x" + part]
    ]


def count_recorded(server) -> int:
    headers = {"X-API-Key": BOOTSTRAP_KEY}
    url = f"{server.url}/api/v1/trades"
    return len(httpx.get(url, params={"limit": 1000}, headers=headers, timeout=WAIT_SECONDS).json())


@pytest.mark.parametrize("stray", [b" ", b"\0", b"}", b"\r\n}", b"GARBAGE\r\n\r\n"])
@pytest.mark.parametrize("pause", [None, 0.0, 0.005, 0.1])
def test_complete_request_is_answered_despite_trailing_bytes(server, stray, pause):
    before = count_recorded(server)
    pieces = [TRADE + stray] if pause is None else [TRADE, stray]
    assert send_pieces(server, *pieces, pause=pause or 0.0) == [201]
    assert count_recorded(server) == before + 1


def test_every_complete_pipelined_request_is_answered(server):
    before = count_recorded(server)
    assert send_pieces(server, TRADE + TRADE + b"}") == [201, 201]
    assert send_pieces(server, TRADE + BROKEN_CHUNK) == [201]
    assert send_pieces(
        server, TRADE + b"GET / HTTP/1.1\r\nX: " + b"a" * 4 * MAX_HEAD_BYTES + b"\r\n\r\n"
    ) == [201]
    assert count_recorded(server) == before + 4


def test_incomplete_request_is_rejected_and_not_recorded(server):
    before = count_recorded(server)
    assert send_pieces(server, BROKEN_CHUNK) == [400]
    assert send_pieces(server, TRADE.replace(b"HTTP/1.1", b"HTTX/1.1")) == [400]
    assert send_pieces(server, b"\0") == [400]
    assert count_recorded(server) == before


@pytest.mark.parametrize("piece", [1024, 65_000, 10**6])
def test_oversized_head_is_rejected_however_it_arrives(server, piece):
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1000) + b"\r\n\r\n"
    pieces = [head[at : at + piece] for at in range(0, len(head), piece)]
    assert send_pieces(server, *pieces) in ([431], [])  # a reset may overtake the answer
    many = b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 12_000 + b"\r\n"
    assert send_pieces(server, many) in ([431], [])


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: a\r\n", b"Host: a\r\nhost: b\r\n"])
def test_repeated_host_header_is_rejected(server, hosts):
    assert send_pieces(server, b"GET /health/live HTTP/1.1\r\n" + hosts + b"\r\n") == [400]
    assert send_pieces(server, b"GET /health/live HTTP/1.0\r\n\r\n") == [200]


def test_uvicorn_started_directly_has_the_same_limits(monkeypatch):
    """It chooses its protocol before it loads the application; whoever then makes one gets ours."""
    config = uvicorn.Config(lambda: None, http="auto")
    config.load()
    monkeypatch.setattr(
        main, "load_settings", lambda: build_settings("sqlite:///x.db", header_timeout_seconds=7)
    )
    monkeypatch.setattr(main, "create_app", lambda _: FastAPI())
    before = (
        LimitedHttpProtocol.head_seconds,
        LimitedHttpProtocol.body_seconds,
        LimitedHttpProtocol.write_seconds,
    )
    try:
        assert isinstance(main.app, FastAPI)
        protocol: Any = config.http_protocol_class
        connection = protocol(config=config, server_state=ServerState(), app_state={}, _loop=Mock())
        assert type(connection) is LimitedHttpProtocol
        assert connection.head_seconds == 7
    finally:
        set_timeouts(*before)
        vars(main).pop("app", None)
