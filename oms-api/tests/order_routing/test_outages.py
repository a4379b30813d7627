"""While a broker is down, orders are refused or held, as the portfolio is set."""

import pytest
from sqlalchemy import text

from app.brokers.errors import RateLimitExceeded, SessionNeeded
from app.brokers.queries import CONNECTIONS, find_connection, update_session_state
from app.database import set_tenant_scope, unit_of_work
from app.order_routing.service.broker_session import BrokerSession
from app.orders.errors import NotReplaceable
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import DOWN, LOST, ScriptedBroker
from tests.orders.writer_harness import WriterHarness

pytestmark = pytest.mark.any_database


def hold_orders(routing):
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        connection.execute(text("UPDATE portfolios SET when_broker_down = 'hold'"))


def disconnect_broker(routing):
    """Let the broker be down for three minutes."""
    routing.broker.faults["events"] = [DOWN]
    routing.broker.faults["account"] = [DOWN] * 180
    routing.run_session()
    assert routing.get_connection().status == "down"


def run_until_connected(routing):
    routing.broker.faults.clear()
    routing.run_session(60)
    assert routing.get_connection().status == "connected"


def test_order_is_refused_while_the_broker_is_down(routing):
    disconnect_broker(routing)
    assert routing.place_order().status is Status.DENIED


def test_held_order_is_sent_once_the_broker_is_back(routing):
    hold_orders(routing)
    disconnect_broker(routing)
    order = routing.place_order()
    assert order.status is Status.HELD
    routing.harness.release_orders()
    routing.run_session(90)  # longer than an order waits to be sent
    assert routing.harness.get_order(order).status is Status.HELD
    assert routing.broker.received == []
    run_until_connected(routing)
    routing.harness.release_orders()
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.ACCEPTED
    assert routing.broker.received == [("submit", order.id)]


def test_held_order_that_our_quote_would_fill_is_filled_by_the_broker_only(routing):
    hold_orders(routing)
    disconnect_broker(routing)
    order = routing.place_order(limit_price="105")  # the ask is 101
    run_until_connected(routing)
    routing.harness.release_orders()
    routing.run_session()
    assert routing.list_executions() == []
    fill = routing.broker.fill(order, "10", "100")
    routing.run_session()
    assert [execution[0] for execution in routing.list_executions()] == [fill.execution_id]
    assert routing.harness.get_order(order).status is Status.FILLED


def test_held_order_is_cancelled_without_the_broker(routing):
    hold_orders(routing)
    disconnect_broker(routing)
    order = routing.place_order()
    routing.harness.cancel(order)
    assert routing.harness.get_order(order).status is Status.CANCELED
    run_until_connected(routing)
    routing.harness.release_orders()
    routing.run_session()
    assert routing.broker.received == []


def test_order_does_not_wait_for_a_connection_that_a_person_must_correct(routing):
    hold_orders(routing)
    routing.broker.number = "ANOTHER"
    routing.broker.faults["events"] = [DOWN]
    routing.run_session(5)
    assert routing.get_connection().status == "refused"
    assert routing.place_order().status is Status.DENIED


def test_session_that_ended_early_has_no_expiry_any_more(routing, monkeypatch):
    def require_log_in():
        raise SessionNeeded("Zerodha")

    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        stored, changes = routing.get_connection(), {"session_expires_at": routing.harness.now}
        assert update_session_state(connection, stored.tenant_id, stored.name, stored.version, changes)
    routing.broker.number = "ANOTHER"
    routing.restart()
    routing.run_session()
    assert routing.get_connection().session_expires_at is not None  # its account is another one
    monkeypatch.setattr(routing.broker, "get_account", require_log_in)
    routing.restart()
    routing.run_session()
    assert (routing.get_connection().status, routing.get_connection().session_expires_at) == ("refused", None)


def find_again(routing):
    """Return the second connection."""
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        return find_connection(connection, routing.harness.tenant, "again")


def test_second_connection_to_an_account_is_refused_with_the_name_of_the_first(routing):
    assert routing.get_connection().account == "PA1"
    changes = {"id": "bc_2", "name": "again", "account": None, "status": "new"}
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        CONNECTIONS.insert(connection, routing.get_connection()._replace(**changes))
    session = BrokerSession(
        *(
            routing.harness.engine,
            find_again(routing),
            ScriptedBroker(),
            lambda _: [],
            lambda: routing.harness.now,
        )
    )
    assert not session.run_step()
    refused = find_again(routing)
    assert (refused.status, refused.account) == ("refused", None)
    assert refused.error == f"The connection '{routing.get_connection().name}' already has the account PA1."


def test_broker_that_stays_down_is_asked_less_often(routing):
    disconnect_broker(routing)
    before = len(routing.broker.faults["account"])
    routing.run_session(120)
    assert before - len(routing.broker.faults["account"]) <= 12


def test_loss_and_return_of_a_broker_are_events(routing):
    disconnect_broker(routing)
    run_until_connected(routing)
    [lost] = routing.harness.list_events("broker.down")
    assert lost == {
        "connection": "paper", "broker": "alpaca", "status": "down",
        "reason": "The broker does not answer.",
    }  # fmt: skip
    assert [event["status"] for event in routing.harness.list_events("broker.connected")] == [
        "connected",
        "connected",
    ]


def test_reconnect_writes_nothing_for_orders_that_did_not_change(routing):
    orders = [routing.place_working_order() for _ in range(5)]
    written = []
    write = routing._write

    def count(commands):
        written.extend(commands)
        return write(commands)

    routing._write = count
    fill = routing.broker.fill(orders[2], "4")
    routing.broker.is_silent = True
    routing.restart()
    routing.run_session()
    assert [command.event.execution_id for command in written] == [fill.execution_id]


def test_circuit_is_reported_with_the_kind_of_failure_and_closes_again(routing):
    assert (routing.get_connection().circuit, routing.get_connection().failures) == ("closed", 0)
    routing.broker.faults["events"] = [DOWN]
    routing.broker.faults["account"] = [DOWN] * 5
    routing.run_session(1)
    opened = routing.get_connection()
    assert (opened.circuit, opened.failure_kind, opened.failures) == ("open", "not_reached", 1)
    assert opened.next_attempt_at > opened.circuit_opened_at
    routing.run_session(20)
    closed = routing.get_connection()
    assert (closed.status, closed.circuit, closed.failures) == ("connected", "closed", 0)
    assert (closed.circuit_opened_at, closed.next_attempt_at) == (None, None)


def test_single_missing_answer_does_not_open_the_circuit_but_three_in_a_row_do(routing):
    orders = [routing.place_order() for _ in range(4)]
    routing.broker.faults["submit"] = [LOST]
    routing.run_session(1)
    assert routing.get_connection().status == "connected"
    assert len(routing.broker.received) == 3
    orders = [routing.place_order() for _ in range(4)]
    routing.broker.faults["submit"] = [LOST] * 4
    routing.session.run_step()
    assert routing.broker.faults["submit"] == [LOST]  # the fourth order was not sent
    assert (routing.get_connection().circuit, routing.get_connection().failure_kind) == ("open", "no_answer")
    routing.broker.faults.clear()
    routing.run_session(10)
    assert routing.harness.get_order(orders[3]).status is Status.ACCEPTED


def test_exhausted_rate_limit_is_not_a_broker_failure(routing, monkeypatch):
    order = routing.place_order()

    def refuse(*_):
        raise RateLimitExceeded

    monkeypatch.setattr(routing.broker, "submit", refuse)
    routing.run_session(1)
    assert (routing.get_connection().status, routing.get_connection().circuit) == ("connected", "closed")
    monkeypatch.undo()
    routing.run_session(5)
    assert routing.harness.get_order(order).status is Status.ACCEPTED


def set_permitted_people(routing, people):
    with unit_of_work(routing.harness.engine) as connection:
        set_tenant_scope(connection, [routing.harness.tenant])
        connection.execute(text("UPDATE broker_connections SET people = :people"), {"people": people})


def act_as(routing, person):
    create = WriterHarness.build_origin
    routing.harness.build_origin = lambda *arguments, **keywords: create(
        routing.harness, *arguments, **keywords
    )._replace(actor=person)


def test_person_whom_the_connection_does_not_name_is_denied(routing):
    set_permitted_people(routing, '["slack:T1:U1"]')
    act_as(routing, "slack:T1:U2")
    denied = routing.place_order()
    assert denied.status is Status.DENIED
    assert "NOT_YOUR_BROKER_ACCOUNT" in str(denied.denial)
    act_as(routing, None)  # a key that acts for nobody
    assert routing.place_order().status is Status.SUBMITTED
    act_as(routing, "slack:T1:U1")
    order = routing.place_working_order()
    assert order.status is Status.ACCEPTED
    act_as(routing, "slack:T1:U2")
    refused = routing.harness.replace(order, limit_price=91)
    assert isinstance(refused, NotReplaceable)
    assert "may not trade" in refused.detail
    routing.harness.cancel(order)  # everybody may take a risk away
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.CANCELED
