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
def answers() -> FakeBrokerServer:
    return FakeBrokerServer()


@contextmanager
def run_client(answers: FakeBrokerServer, timeouts: RestTimeouts) -> Iterator[RestClient]:
    """Run a server with these answers, and yield a client of it."""
    with run_http_server(answers) as url:
        client = RestClient("Broker", url, {}, RequestRateLimiter(LocalTokenBucket()), timeouts)
        yield client
        client.close()


@pytest.fixture
def client(answers: FakeBrokerServer) -> Iterator[RestClient]:
    with run_client(answers, RestTimeouts(response=WAIT_SECONDS, whole_response=WAIT_SECONDS)) as client:
        yield client


ORDER = Request("POST", "/orders", Priority.ORDER, {})


def assert_not_understood(client):
    """Assert that a query fails, and that the outcome of an order, which may be carried out, is unknown."""
    with pytest.raises(BrokerUnavailable):
        client.get("/orders")
    with pytest.raises(BrokerOutcomeUnknown):
        client.request(ORDER)


def test_compressed_answer_is_read(client, answers):
    answers.headers, answers.parts = {"Content-Encoding": "gzip"}, [gzip.compress(b'{"a":[1]}')]
    assert client.get("/orders") == {"a": [1]}


def test_answer_that_is_too_large_is_not_kept(client, answers, monkeypatch):
    monkeypatch.setattr(rest_client, "MAX_RESPONSE_BYTES", 1000)
    answers.parts = [b'"', b"a" * 600, b"a" * 600, b'"']
    assert_not_understood(client)
    answers.headers, answers.parts = (
        {"Content-Encoding": "gzip"},
        [gzip.compress(b'"%s"' % (b"a" * 10_000))],
    )
    assert_not_understood(client)


def test_answer_that_drips_is_given_up(answers):
    answers.parts, answers.pause = [b'"', *[b"a"] * 20, b'"'], 0.05
    with run_client(answers, RestTimeouts(response=WAIT_SECONDS, whole_response=0.2)) as client:
        assert_not_understood(client)


def test_deep_answer_is_not_understood(client, answers):
    answers.parts = [b"[" * 200_000]
    assert_not_understood(client)


def test_empty_answer_to_a_query_is_no_empty_list(client, answers):
    answers.parts = []
    with pytest.raises(BrokerUnavailable):
        client.get("/orders")
    assert client.request(ORDER) is None


def test_time_out_of_a_proxy_leaves_the_outcome_open(client, answers):
    answers.status = 408
    assert_not_understood(client)


def test_broker_does_not_stop_the_requests_for_days(client, answers, monkeypatch):
    blocked = []

    def block(seconds):
        blocked.append(seconds)
        answers.status = 200

    monkeypatch.setattr(client.rate_limiter, "block", block)
    answers.status, answers.headers = 429, {"Retry-After": "999999"}
    assert client.get("/orders") == {}
    assert blocked == [60]


def test_reason_of_a_refusal_can_be_stored(client, answers):
    answers.status, answers.parts = 422, [b'{"message":"no\\u0000 \\ud800 funds"}']
    with pytest.raises(RequestRefused, match=r"^no    funds$"):
        client.request(ORDER)
