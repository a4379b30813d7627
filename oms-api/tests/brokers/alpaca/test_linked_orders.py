"""Linked orders at Alpaca: their legs are known by our ids, whatever the stream and earlier processes did."""

from datetime import UTC, datetime

import pytest

from app.brokers.alpaca import order_reader
from app.brokers.alpaca.broker import AlpacaBroker
from app.brokers.alpaca.rules.links import build_links
from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.rules.values import Canceled, CancelRejected, Rejected
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.standins.alpaca.fixtures import CREDENTIALS
from tests.support.conditions import wait_until

NOW = datetime.now(UTC)


def build_bracket(name="A"):
    exits = (
        parse_order_text("SELL 10 LIMIT limit 120", f"{name}T", symbol="AAPL"),
        parse_order_text("SELL 10 STOP stop 80", f"{name}S", symbol="AAPL"),
    )
    return parse_order_text("BUY 10 LIMIT limit 95", name, symbol="AAPL", linked=exits)


def list_events(broker):
    return format_events([record.event for record in broker.list_events()])


def list_open_orders(broker):
    return sorted(order.id for order in broker.open_orders())


def test_legs_are_open_once_the_entry_has_filled(alpaca, broker):
    assert format_events(broker.submit(build_bracket(), NOW)) == []
    wait_until(lambda: list_events(broker) == ["A accepted"])
    assert list_open_orders(broker) == ["A"]
    assert broker.find("AS").is_waiting
    alpaca.exchange.quote("AAPL", "94", "95")
    wait_until(lambda: "AT accepted" in list_events(broker))
    assert list_events(broker) == ["A accepted", "A 10 @ 95", "AS accepted", "AT accepted"]
    assert list_open_orders(broker) == ["AS", "AT"]
    state = broker.find("AS")
    assert (state.is_open, state.is_waiting, state.order.stop_price) == (True, False, 80)


def test_events_before_the_answer_are_applied_after_it(alpaca, broker):
    alpaca.exchange.quote("AAPL", "94", "95")  # the entry fills while it is sent
    broker.submit(build_bracket(), NOW)
    wait_until(lambda: len(list_events(broker)) == 4)
    assert sorted(list_events(broker)) == ["A 10 @ 95", "A accepted", "AS accepted", "AT accepted"]


@pytest.mark.parametrize("limit", [20, 1])
def test_another_process_finds_the_legs_by_their_links(alpaca, broker, monkeypatch, limit):
    monkeypatch.setattr(order_reader, "MAX_SINGLE_READS", limit)
    brackets = [build_bracket(name) for name in "ABC"]
    for bracket in brackets:
        broker.submit(bracket, NOW)
    alpaca.exchange.quote("AAPL", "94", "95")
    other = AlpacaBroker(alpaca.url, CREDENTIALS, 1)
    other.add_links([link._replace(created_at=NOW) for order in brackets for link in build_links(order)])
    try:
        other.stream.start()
        wait_until(other.stream.is_ready.is_set)
        assert list_open_orders(other) == ["AS", "AT", "BS", "BT", "CS", "CT"]
        alpaca.exchange.quote("AAPL", "80", "81")
        wait_until(lambda: {"AS 10 @ 80", "BS 10 @ 80", "CS 10 @ 80"} <= set(list_events(other)))
    finally:
        other.close()


def test_lost_answer_is_found_with_the_legs(alpaca, broker):
    alpaca.faults.add("cut_after", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_bracket(), NOW)
    assert broker.find("A").is_open
    assert broker.find("AT").is_waiting
    alpaca.faults.add("cut_before", method="POST")
    with pytest.raises(BrokerOutcomeUnknown):
        broker.submit(build_bracket("B"), NOW)
    assert [broker.find(name) for name in ("B", "BT", "BS")] == [None, None, None]


def test_bracket_that_was_not_sent_leaves_no_legs(alpaca, broker):
    alpaca.faults.add("status", method="POST", status=429, retry_after="600")
    with pytest.raises(BrokerUnavailable):
        broker.submit(build_bracket(), NOW)
    assert (list_events(broker), alpaca.exchange.orders) == ([], {})


def test_refused_bracket_is_rejected_and_a_repeat_is_read(alpaca, broker):
    wrong = build_bracket()
    target, stop = wrong.linked
    wrong = wrong._replace(linked=(target._replace(limit_price=stop.stop_price), stop))
    (event,) = broker.submit(wrong, NOW)
    assert isinstance(event, Rejected)
    broker.submit(build_bracket("B"), NOW)
    assert broker.submit(build_bracket("B"), NOW) == ()
    assert len(alpaca.exchange.orders) == 3


def test_leg_is_replaced_under_its_successor_and_canceled_with_its_group(alpaca, broker):
    broker.submit(build_bracket(), NOW)
    alpaca.exchange.quote("AAPL", "94", "95")
    wait_until(lambda: "AT accepted" in list_events(broker))
    higher = parse_order_text("SELL 10 STOP stop 85", "AS2", symbol="AAPL")
    broker.replace("AS", higher, NOW)
    wait_until(lambda: "AS replaced" in list_events(broker))
    (refused,) = broker.replace("AS2", higher._replace(id="AS3", quantity=higher.quantity + 2), NOW)
    assert isinstance(refused, CancelRejected)
    broker.cancel("AT", NOW)
    wait_until(lambda: {"AT canceled", "AS2 unfilled canceled"} <= set(list_events(broker)))
    assert isinstance(broker.find("AT").end, Canceled)
    assert list_open_orders(broker) == []
