"""Answers that are too large, too slow, compressed or no JSON do not stop a session."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.remote import rest_client
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, Priority, RequestRateLimiter
from app.brokers.remote.rest_client import Request, RequestRefused, RestClient, RestTimeouts
from tests.brokers.remote.rest_servers import FakeBrokerServer, run_http_server
from tests.support.conditions import WAIT_SECONDS


@pytest.fixture
def broker_server() -> FakeBrokerServer:
    return FakeBrokerServer()


@contextmanager
def run_client(broker_server: FakeBrokerServer, timeouts: RestTimeouts) -> Iterator[RestClient]:
    """Run the server, and yield a client of it."""
    with run_http_server(broker_server) as url:
        client = RestClient("Broker", url, {}, RequestRateLimiter(LocalTokenBucket()), timeouts)
        yield client
        client.close()


@pytest.fixture
def client(broker_server: FakeBrokerServer) -> Iterator[RestClient]:
    with run_client(
        broker_server, RestTimeouts(response=WAIT_SECONDS, whole_response=WAIT_SECONDS)
    ) as client:
        yield client


ORDER = Request("POST", "/orders", Priority.ORDER, {})


def assert_not_understood(client):
    """Assert that a query fails, and that the outcome of an order, which may be carried out, is unknown."""
    with pytest.raises(BrokerUnavailable):
        client.get("/orders")
    with pytest.raises(BrokerOutcomeUnknown):
        client.request(ORDER)


def test_compressed_response_is_read(client, broker_server):
    broker_server.headers, broker_server.parts = {"Content-Encoding": "gzip"}, [gzip.compress(b'{"a":[1]}')]
    assert client.get("/orders") == {"a": [1]}


def test_response_that_is_too_large_is_not_kept(client, broker_server, monkeypatch):
    monkeypatch.setattr(rest_client, "MAX_RESPONSE_BYTES", 1000)
    broker_server.parts = [b'"', b"a" * 600, b"a" * 600, b'"']
    assert_not_understood(client)
    broker_server.headers, broker_server.parts = (
        {"Content-Encoding": "gzip"},
        [gzip.compress(b'"%s"' % (b"a" * 10_000))],
    )
    assert_not_understood(client)


def test_response_that_drips_is_given_up(broker_server):
    broker_server.parts, broker_server.pause = [b'"', *[b"a"] * 20, b'"'], 0.05
    with run_client(broker_server, RestTimeouts(response=WAIT_SECONDS, whole_response=0.2)) as client:
        assert_not_understood(client)


def test_deep_response_is_not_understood(client, broker_server):
    broker_server.parts = [b"[" * 200_000]
    assert_not_understood(client)


def test_empty_response_to_a_query_is_no_empty_list(client, broker_server):
    broker_server.parts = []
    with pytest.raises(BrokerUnavailable):
        client.get("/orders")
    assert client.request(ORDER) is None


def test_time_out_of_a_proxy_leaves_the_outcome_open(client, broker_server):
    broker_server.status = 408
    assert_not_understood(client)


def test_broker_does_not_stop_the_requests_for_days(client, broker_server, monkeypatch):
    blocked = []

    def block(seconds):
        blocked.append(seconds)
        broker_server.status = 200

    monkeypatch.setattr(client.rate_limiter, "block", block)
    broker_server.status, broker_server.headers = 429, {"Retry-After": "999999"}
    assert client.get("/orders") == {}
    assert blocked == [60]


def test_reason_of_a_refusal_can_be_stored(client, broker_server):
    broker_server.status, broker_server.parts = 422, [b'{"message":"no\\u0000 \\ud800 funds"}']
    with pytest.raises(RequestRefused, match=r"^no    funds$"):
        client.request(ORDER)
