"""Messages of TWS that cannot be right: nothing is applied, and what is missing is read."""

import socket
from contextlib import closing
from datetime import UTC, datetime

import pytest

from app.brokers.errors import BrokerUnavailable
from app.brokers.ibkr.broker import IbkrBroker
from app.brokers.ibkr.gateway import GatewayAddress, GatewayTimeouts
from app.brokers.rules.values import Charged
from tests.brokers.market import format_events, parse_order_text
from tests.brokers.standins.ibkr.messages import build_execution, build_order_status, build_position
from tests.brokers.standins.ibkr.server import LOOPBACK
from tests.support.conditions import wait_until

NOW = datetime.now(UTC)
STAND_IN = "tests.brokers.standins.ibkr"
EXECUTION_ID, SHARES, PRICE = 14, 19, 20  # the places in a message


def list_events(broker):
    events = (record.event for record in broker.list_events())
    return format_events([event for event in events if not isinstance(event, Charged)])


def put(parts, place, part):
    return [*parts[:place], part, *parts[place + 1 :]]


@pytest.fixture(autouse=True)
def read_soon(monkeypatch):
    for name in ("HEARTBEAT_SECONDS", "_FIRST_WAIT_SECONDS"):
        monkeypatch.setattr(f"app.brokers.ibkr.gateway.{name}", 0.05)


@pytest.fixture
def order(tws, broker):
    """Place an order of which TWS has filled four of ten shares."""
    broker.submit(parse_order_text("BUY 10 LIMIT limit 95", "A", symbol="AAPL"), NOW)
    [order] = tws.exchange.orders
    tws.call(lambda: tws.exchange.fill(order, "4", "95"))
    wait_until(lambda: list_events(broker) == ["A accepted", "A 4 @ 95"])
    return order


@pytest.mark.parametrize("wrong", ["", "NaN", "Infinity", "1e400", "x", "-5", "9" * 400, "<html>"])
def test_wrong_messages_are_not_applied(tws, broker, order, wrong):
    other = put(build_execution(-1, order.executions[0]), EXECUTION_ID, "other.01")
    messages = [
        put(other, PRICE, wrong),
        put(other, EXECUTION_ID, "a\nb" + wrong),
        other[:9],
    ]
    messages += [put(other, SHARES, wrong)] if wrong else []
    messages += [put(build_order_status(order), 3, wrong), ["5", "1"], ["x"], ["999"], ["4", "2", wrong]]
    tws.call(lambda: [session.send(parts) for session in tws.sessions for parts in messages])
    assert broker.get_account().number  # its answer follows the messages
    assert list_events(broker) == ["A accepted", "A 4 @ 95"]
    assert [position.quantity for position in broker.list_positions()] == [4]


def test_fill_whose_messages_cannot_be_read_is_read_again(tws, broker, order, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(f"{STAND_IN}.exchange.build_execution", lambda *_: ["11", "1"])
        patch.setattr(f"{STAND_IN}.exchange.build_order_status", lambda _: ["3", "1"])
        patch.setattr(f"{STAND_IN}.exchange.build_open_order", lambda _: ["5", "1"])
        tws.call(lambda: tws.exchange.fill(order, "6", "95"))
    wait_until(lambda: list_events(broker) == ["A accepted", "A 4 @ 95", "A 6 @ 95"])


def test_answer_with_a_row_that_cannot_be_read_is_not_used(tws, broker, order, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            f"{STAND_IN}.session.build_position", lambda *terms: put(build_position(*terms), -2, "x")
        )
        with pytest.raises(BrokerUnavailable, match="positions were not understood"):
            broker.list_positions()
    wait_until(lambda: broker.gateway.last_error is None and broker.gateway.is_ready.is_set())
    assert [position.quantity for position in broker.list_positions()] == [4]


def test_connection_is_down_while_executions_cannot_be_read(tws, broker, order, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(f"{STAND_IN}.session.build_execution", lambda *_: ["11", "1"])
        tws.cut()
        wait_until(lambda: "executions were not understood" in (broker.gateway.last_error or ""))
        assert not broker.gateway.is_ready.is_set()
    wait_until(broker.gateway.is_ready.is_set)
    assert list_events(broker) == ["A accepted", "A 4 @ 95"]


def test_program_that_is_not_tws_is_named():
    with socket.create_server((LOOPBACK, 0)) as server:
        address = GatewayAddress(LOOPBACK, server.getsockname()[1], 7)
        with closing(IbkrBroker(address, timeouts=GatewayTimeouts(connect=0.2))) as broker:
            broker.gateway.start()
            client, _ = server.accept()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>")
            wait_until(lambda: "answers as TWS does" in (broker.gateway.last_error or ""))
            client.close()
