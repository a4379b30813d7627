"""What becomes of orders while their broker is down: refused or held, as the portfolio says."""

import pytest
from sqlalchemy import text

from app.brokers.errors import RateLimitUsedUp, SessionNeeded
from app.brokers.queries import find_connection, insert_connection, update_session_state
from app.database import set_tenant_scope, unit_of_work
from app.order_routing.service.broker_session import BrokerSession
from app.orders.errors import NotReplaceable
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import DOWN, LOST, ScriptedBroker
from tests.orders.rig import Rig

pytestmark = pytest.mark.any_database


def hold_orders(routing):
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        connection.execute(text("UPDATE portfolios SET when_broker_down = 'hold'"))


def lose(routing):
    """Let the broker be down for three minutes."""
    routing.broker.faults["events"] = [DOWN]
    routing.broker.faults["account"] = [DOWN] * 180
    routing.run()
    assert routing.stored().status == "down"


def find_way_back(routing):
    routing.broker.faults.clear()
    routing.run(60)
    assert routing.stored().status == "connected"


def test_order_is_refused_while_the_broker_is_down(routing):
    lose(routing)
    assert routing.place().status is Status.DENIED


def test_held_order_is_sent_once_the_broker_is_back(routing):
    hold_orders(routing)
    lose(routing)
    order = routing.place()
    assert order.status is Status.HELD
    routing.rig.release()
    routing.run(90)  # longer than an order waits to be sent
    assert routing.rig.order(order).status is Status.HELD
    assert routing.broker.received == []
    find_way_back(routing)
    routing.rig.release()
    routing.run()
    assert routing.rig.order(order).status is Status.ACCEPTED
    assert routing.broker.received == [("submit", order.id)]


def test_held_order_that_our_quote_would_fill_is_filled_by_the_broker_only(routing):
    hold_orders(routing)
    lose(routing)
    order = routing.place(limit_price="105")  # the ask is 101
    find_way_back(routing)
    routing.rig.release()
    routing.run()
    assert routing.executions() == []
    fill = routing.broker.fill(order, "10", "100")
    routing.run()
    assert [one[0] for one in routing.executions()] == [fill.execution_id]
    assert routing.rig.order(order).status is Status.FILLED


def test_held_order_is_cancelled_without_the_broker(routing):
    hold_orders(routing)
    lose(routing)
    order = routing.place()
    routing.rig.cancel(order)
    assert routing.rig.order(order).status is Status.CANCELED
    find_way_back(routing)
    routing.rig.release()
    routing.run()
    assert routing.broker.received == []


def test_order_does_not_wait_for_a_connection_that_a_person_must_correct(routing):
    hold_orders(routing)
    routing.broker.number = "ANOTHER"
    routing.broker.faults["events"] = [DOWN]
    routing.run(5)
    assert routing.stored().status == "refused"
    assert routing.place().status is Status.DENIED


def test_session_that_ended_early_has_no_expiry_any_more(routing, monkeypatch):
    def require_log_in():
        raise SessionNeeded("Zerodha")

    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        stored, changes = routing.stored(), {"session_expires_at": routing.rig.now}
        assert update_session_state(connection, stored.tenant_id, stored.name, stored.version, changes)
    routing.broker.number = "ANOTHER"
    routing.restart()
    routing.run()
    assert routing.stored().session_expires_at is not None  # its account is another one
    monkeypatch.setattr(routing.broker, "account", require_log_in)
    routing.restart()
    routing.run()
    assert (routing.stored().status, routing.stored().session_expires_at) == ("refused", None)


def find_again(routing):
    """Return the second connection."""
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        return find_connection(connection, routing.rig.tenant, "again")


def test_second_connection_to_an_account_is_refused_with_the_name_of_the_first(routing):
    assert routing.stored().account == "PA1"
    changes = {"id": "bc_2", "name": "again", "account": None, "status": "new"}
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        insert_connection(connection, routing.stored()._replace(**changes))
    session = BrokerSession(
        *(routing.rig.engine, find_again(routing), ScriptedBroker(), lambda _: [], lambda: routing.rig.now)
    )
    assert not session.step()
    refused = find_again(routing)
    assert (refused.status, refused.account) == ("refused", None)
    assert refused.error == f"The connection '{routing.stored().name}' has the account PA1 already."


def test_broker_that_stays_down_is_asked_less_often(routing):
    lose(routing)
    before = len(routing.broker.faults["account"])
    routing.run(120)
    assert before - len(routing.broker.faults["account"]) <= 12


def test_loss_and_return_of_a_broker_are_events(routing):
    lose(routing)
    find_way_back(routing)
    [lost] = routing.rig.events("broker.down")
    assert lost == {
        "connection": "paper", "broker": "alpaca", "status": "down",
        "reason": "The broker does not answer.",
    }  # fmt: skip
    assert [one["status"] for one in routing.rig.events("broker.connected")] == ["connected", "connected"]


def test_reconnect_writes_nothing_for_orders_that_did_not_change(routing):
    orders = [routing.work() for _ in range(5)]
    written = []
    write = routing._write

    def count(commands):
        written.extend(commands)
        return write(commands)

    routing._write = count
    fill = routing.broker.fill(orders[2], "4")
    routing.broker.is_silent = True
    routing.restart()
    routing.run()
    assert [command.event.execution_id for command in written] == [fill.execution_id]


def test_circuit_is_told_with_the_kind_of_failure_and_closes_again(routing):
    assert (routing.stored().circuit, routing.stored().failures) == ("closed", 0)
    routing.broker.faults["events"] = [DOWN]
    routing.broker.faults["account"] = [DOWN] * 5
    routing.run(1)
    opened = routing.stored()
    assert (opened.circuit, opened.failure_kind, opened.failures) == ("open", "not_reached", 1)
    assert opened.next_attempt_at > opened.circuit_opened_at
    routing.run(20)
    closed = routing.stored()
    assert (closed.status, closed.circuit, closed.failures) == ("connected", "closed", 0)
    assert (closed.circuit_opened_at, closed.next_attempt_at) == (None, None)


def test_single_missing_answer_does_not_open_the_circuit_but_three_in_a_row_do(routing):
    orders = [routing.place() for _ in range(4)]
    routing.broker.faults["submit"] = [LOST]
    routing.run(1)
    assert routing.stored().status == "connected"
    assert len(routing.broker.received) == 3
    orders = [routing.place() for _ in range(4)]
    routing.broker.faults["submit"] = [LOST] * 4
    routing.session.step()
    assert routing.broker.faults["submit"] == [LOST]  # the fourth order was not sent
    assert (routing.stored().circuit, routing.stored().failure_kind) == ("open", "no_answer")
    routing.broker.faults.clear()
    routing.run(10)
    assert routing.rig.order(orders[3]).status is Status.ACCEPTED


def test_used_up_rate_limit_is_no_failure_of_the_broker(routing, monkeypatch):
    order = routing.place()

    def refuse(*_):
        raise RateLimitUsedUp

    monkeypatch.setattr(routing.broker, "submit", refuse)
    routing.run(1)
    assert (routing.stored().status, routing.stored().circuit) == ("connected", "closed")
    monkeypatch.undo()
    routing.run(5)
    assert routing.rig.order(order).status is Status.ACCEPTED


def name_people(routing, people):
    with unit_of_work(routing.rig.engine) as connection:
        set_tenant_scope(connection, [routing.rig.tenant])
        connection.execute(text("UPDATE broker_connections SET people = :people"), {"people": people})


def act_as(routing, person):
    create = Rig.origin
    routing.rig.origin = lambda *given, **named: create(routing.rig, *given, **named)._replace(actor=person)


def test_person_whom_the_connection_does_not_name_is_denied(routing):
    name_people(routing, '["slack:T1:U1"]')
    act_as(routing, "slack:T1:U2")
    denied = routing.place()
    assert denied.status is Status.DENIED
    assert "NOT_YOUR_BROKER_ACCOUNT" in str(denied.denial)
    act_as(routing, None)  # a key that acts for nobody
    assert routing.place().status is Status.SUBMITTED
    act_as(routing, "slack:T1:U1")
    order = routing.work()
    assert order.status is Status.ACCEPTED
    act_as(routing, "slack:T1:U2")
    refused = routing.rig.replace(order, limit_price=91)
    assert isinstance(refused, NotReplaceable)
    assert "may not trade" in refused.detail
    routing.rig.cancel(order)  # everybody may take a risk away
    routing.run()
    assert routing.rig.order(order).status is Status.CANCELED
