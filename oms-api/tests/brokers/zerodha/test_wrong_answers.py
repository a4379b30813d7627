"""Answers of Kite that cannot be right: what was sent stays known, and nothing is applied."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.remote.request_rate_limiter import LocalTokenBucket, RequestRateLimiter
from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.zerodha.broker import ZerodhaBroker
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.wrong_answers import BODIES, ENVELOPES, get_error
from tests.brokers.zerodha.conftest import CREDENTIALS
from tests.support.conditions import WAIT_SECONDS, wait_until

NOW = datetime.now(UTC)
QUERIES = ("list_open_orders", "list_executions", "list_positions", "get_account")
EMPTY = {b'{"status":"success","data":null}', b'{"status":"success","data":[]}'}


def list_events(broker):
    return format_events([record.event for record in broker.list_events()])


@pytest.fixture
def broker(kite):
    """Connect without the rate limit of Kite, which would make these tests slow."""
    rate_limiter, timeouts = (
        RequestRateLimiter(LocalTokenBucket(100_000)),
        RestTimeouts(response=WAIT_SECONDS),
    )
    with closing(
        ZerodhaBroker(
            kite.url,
            CREDENTIALS,
            rate_limiter=rate_limiter,
            query_rate_limiter=rate_limiter,
            timeouts=timeouts,
        )
    ) as created:
        created.stream.start()
        yield created


@pytest.fixture
def distort(kite, broker):
    """Return a function that makes a call, of which each request is carried out and has a wrong answer."""

    def call_with(method, body, call):
        wait_until(broker.stream.is_ready.is_set)
        kite.faults.add("status_after", method=method, status=200, body=body, times=20)
        error = get_error(call)
        kite.faults.clear()
        return error

    return call_with


@pytest.mark.parametrize("body", [*BODIES, *ENVELOPES])
def test_wrong_answers_change_nothing(kite, broker, distort, body):
    order = parse_order_text("BUY 10 LIMIT limit 95", "A", symbol="RELIANCE")
    assert distort("POST", body, lambda: broker.submit(order, NOW)) is BrokerOutcomeUnknown
    wait_until(lambda: list_events(broker) == ["A accepted"])
    for name in QUERIES:
        error = distort("GET", body, getattr(broker, name))
        assert error is BrokerUnavailable or body in EMPTY, name
    assert distort("DELETE", body, lambda: broker.cancel("A", NOW)) in {BrokerOutcomeUnknown, None}
    wait_until(lambda: not broker.find("A").is_open)
    assert list_events(broker)[0] == "A accepted"
    assert len(list_events(broker)) == 2
    assert len(kite.exchange.orders) == 1
