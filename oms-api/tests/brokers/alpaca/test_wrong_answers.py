"""Answers of Alpaca that cannot be right: what was sent stays known, and nothing is applied."""

from datetime import UTC, datetime

import pytest

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.wrong_answers import BODIES, get_error
from tests.support.conditions import wait_until

NOW = datetime.now(UTC)
QUERIES = ("list_open_orders", "list_executions", "list_positions", "get_account")


def build_order(name="A", price="95"):
    return parse_order_text(f"BUY 10 LIMIT limit {price}", name, symbol="AAPL")


def list_events(broker):
    return format_events([record.event for record in broker.list_events()])


@pytest.fixture
def distort(alpaca, broker):
    """Return a function that makes a call, of which each request is carried out and has a wrong answer."""

    def call_with(method, body, call, status=200):
        wait_until(broker.stream.is_ready.is_set)
        alpaca.faults.add("status_after", method=method, path="/v2", status=status, body=body, times=20)
        error = get_error(call)
        alpaca.faults.clear()
        return error

    return call_with


@pytest.mark.parametrize("body", BODIES)
def test_order_is_found_after_an_answer_that_is_not_understood(alpaca, broker, distort, body):
    assert distort("POST", body, lambda: broker.submit(build_order(), NOW)) is BrokerOutcomeUnknown
    assert distort("GET", body, broker.list_executions) in {BrokerUnavailable, None}
    successor = build_order("B", "96")
    wait_until(lambda: list_events(broker) == ["A accepted"])
    assert distort("PATCH", body, lambda: broker.replace("A", successor, NOW)) is BrokerOutcomeUnknown
    wait_until(lambda: "A replaced" in list_events(broker))
    assert distort("DELETE", body, lambda: broker.cancel("B", NOW)) in {BrokerOutcomeUnknown, None}
    wait_until(lambda: not broker.find("B").is_open)
    assert len(alpaca.exchange.orders) == 2
    assert alpaca.exchange.executions == []


@pytest.mark.parametrize("body", BODIES)
def test_query_with_an_answer_that_is_not_understood_changes_nothing(alpaca, broker, distort, body):
    broker.submit(build_order(), NOW)
    alpaca.exchange.quote("AAPL", "94", "95")
    wait_until(lambda: len(list_events(broker)) == 2)
    is_list = body in {b"null", b"[]", b"[null]", b"[[]]", b"[1e400]", b'[{"id":NaN}]'}
    for name in QUERIES:
        error = distort("GET", body, getattr(broker, name))
        assert error is BrokerUnavailable or is_list, name
    assert list_events(broker) == ["A accepted", "A 10 @ 95"]
    assert [position.quantity for position in broker.list_positions()] == [10]


def test_answer_with_another_order_is_not_taken_for_that_of_the_request(alpaca, broker, distort, monkeypatch):
    broker.submit(build_order(), NOW)
    wait_until(lambda: list_events(broker) == ["A accepted"])
    [other] = [broker._client._http.get(f"/v2/orders/{name}").content for name in alpaca.exchange.orders]
    assert distort("POST", other, lambda: broker.submit(build_order("B"), NOW)) is BrokerOutcomeUnknown
    monkeypatch.setattr(broker._state, "find_current", lambda _: None)
    assert distort("GET", other, lambda: broker.find("B")) is BrokerUnavailable
    assert broker.find("B").order.id == "B"


@pytest.mark.parametrize("body", [b"{}", b'{"message":"no route"}', b"<html>404</html>"])
def test_missing_page_does_not_prove_that_an_order_was_not_received(broker, distort, body):
    assert distort("GET", body, lambda: broker.find("A"), status=404) is BrokerUnavailable
    assert broker.find("A") is None
