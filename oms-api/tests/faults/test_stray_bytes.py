"""Whatever follows a complete request, its answer is its own: a refusal means that nothing was recorded."""

import itertools
import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.factories import BOOTSTRAP_KEY, trade_body
from tests.faults.test_slow_clients import PATIENCE_SECONDS, connect, rest_of
from tests.support.processes import Process, running

NUMBERS = itertools.count(1)
PAUSE_SECONDS = 0.005


@pytest.fixture(scope="module")
def service(new_database) -> Iterator[Process]:
    with running(DATABASE_URL=new_database("sqlite"), LOG_LEVEL="WARNING") as process:
        yield process


def build_request(portfolio: str, *, chunked: bool = False) -> bytes:
    body = json.dumps(trade_body(portfolio_name=portfolio)).encode()
    head = f"POST /api/v1/trade HTTP/1.1\r\nHost: oms\r\nX-API-Key: {BOOTSTRAP_KEY}\r\n"
    head += "Content-Type: application/json\r\n"
    if chunked:
        return f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def read_statuses(client: socket.socket) -> list[int]:
    """Return the statuses of all answers until the server closes the connection."""
    lines = rest_of(client).split(b"HTTP/1.1 ")[1:]
    return [int(line[:3]) for line in lines]


def count_recorded(service: Process, portfolio: str) -> int:
    answer = httpx.get(
        f"{service.url}/api/v1/trades",
        params={"portfolio": portfolio},
        headers={"X-API-Key": BOOTSTRAP_KEY},
        timeout=PATIENCE_SECONDS,
    )
    return len(answer.json())


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("pause_seconds", [None, 0.0, PAUSE_SECONDS])
@pytest.mark.parametrize("stray", [b" ", b"\0", b"}", b"\xff\xff", b"GET\r\n\r\n"])
def test_stray_bytes_after_a_complete_request_do_not_refuse_it(service, stray, pause_seconds, chunked):
    portfolio = f"Stray {next(NUMBERS)}"
    request = build_request(portfolio, chunked=chunked)
    with connect(service, request + stray if pause_seconds is None else request) as client:
        if pause_seconds is not None:
            time.sleep(pause_seconds)
            client.sendall(stray)
        statuses = read_statuses(client)
    assert statuses[0] == 201
    assert count_recorded(service, portfolio) == 1


def test_a_head_that_is_too_large_does_not_refuse_the_request_before_it(service):
    portfolio = f"Stray {next(NUMBERS)}"
    with connect(service, build_request(portfolio) + b"x" * 70_000) as client:
        assert read_statuses(client)[0] == 201
    assert count_recorded(service, portfolio) == 1


def test_complete_requests_before_a_broken_one_are_answered_in_order(service):
    first, second = (f"Stray {next(NUMBERS)}" for _ in range(2))
    broken = build_request("Never").replace(b"Content-Length", b"Content Length")
    with connect(service, build_request(first) + build_request(second) + broken) as client:
        assert read_statuses(client)[:2] == [201, 201]
    assert (count_recorded(service, first), count_recorded(service, second)) == (1, 1)


def test_a_broken_body_refuses_its_own_request_and_no_other(service):
    first, second = (f"Stray {next(NUMBERS)}" for _ in range(2))
    broken = build_request(second, chunked=True).replace(b"\r\n0\r\n", b"zz\r\n0\r\n")
    with connect(service, build_request(first) + broken) as client:
        assert read_statuses(client)[0] == 201
    assert (count_recorded(service, first), count_recorded(service, second)) == (1, 0)


def test_a_broken_body_alone_is_refused_and_not_recorded(service):
    portfolio = f"Stray {next(NUMBERS)}"
    broken = build_request(portfolio, chunked=True).replace(b"\r\n0\r\n", b"zz\r\n0\r\n")
    with connect(service, broken) as client:
        assert read_statuses(client) == [400]
    assert count_recorded(service, portfolio) == 0
