"""A second process takes over a connection while the first one is still sending: nothing is sent twice."""

import pytest

from app.order_routing.queries import open_transaction
from app.order_routing.service.broker_session import BrokerSession
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import KILLED_AFTER, Killed

pytestmark = pytest.mark.any_database


def create_session(routing, **terms):
    """Return the session of another process on the same database and broker."""
    session = BrokerSession(
        *(
            routing.harness.engine,
            routing.get_connection(),
            routing.broker,
            routing._write,
            lambda: routing.harness.now,
        ),
        **terms,
    )
    session.run_step()
    return session


@pytest.fixture
def second_process(routing):
    return create_session(routing)


def release_second_process(monkeypatch, routing, second):
    """Let the second process send, and die, after the first one chose a request and before it sends it."""
    sender = routing.session._sender
    send = sender._send

    def send_later(request, sending):
        monkeypatch.setattr(sender, "_send", send)
        routing.broker.faults[request.kind.value] = [KILLED_AFTER]
        with pytest.raises(Killed):
            second.run_step()
        send(request, sending)

    monkeypatch.setattr(sender, "_send", send_later)


def test_request_that_another_process_began_is_not_sent_again(routing, second_process, monkeypatch):
    order = routing.place_working_order()
    routing.harness.replace(order, limit_price="91")
    release_second_process(monkeypatch, routing, second_process)
    routing.run_session()
    assert [call for call, _ in routing.broker.received] == ["submit", "replace"]
    replaced = routing.harness.get_order(order)
    assert replaced.status is Status.REPLACED
    assert routing.harness.get_order(order._replace(id=replaced.replaced_by)).status is Status.ACCEPTED
    assert routing.list_open_requests() == []


def test_process_that_lost_its_lease_sends_nothing_more(routing):
    leases = [True]
    first = create_session(routing, may_send=lambda: bool(leases) and leases.pop())
    orders = [routing.place_order() for _ in range(3)]
    leases.append(True)
    routing.harness.advance_clock()
    first.run_step()
    assert routing.broker.received == [("submit", orders[0].id)]
    first.run_step()
    assert routing.broker.received == [("submit", orders[0].id)]
    routing.run_session()
    assert routing.broker.received == [("submit", order.id) for order in orders]


@pytest.mark.parametrize("is_first_late", [False, True])
def test_events_that_both_processes_read_are_booked_once(routing, second_process, is_first_late):
    order = routing.place_working_order()
    routing.broker.fill(order, "4")
    for session in (second_process, routing.session) if is_first_late else (routing.session, second_process):
        session.run_step()
    assert len(routing.list_executions()) == 1
    assert routing.harness.get_order(order).filled_quantity == 4


def test_order_of_the_queue_that_leaves_it_is_not_known_as_sent(routing):
    routing.has_queue = True
    routing.restart()
    routing.run_session()
    order = routing.place_order()
    assert routing.list_open_requests() == [("submit", "sending")]
    routing.harness.cancel(order)
    with open_transaction(routing.harness.engine, routing.harness.tenant) as connection:
        routing.session._sender._list_unqueued_requests(connection)
    assert routing.list_open_requests() == [("submit", "new"), ("cancel", "new")]
    routing.restart()  # another process goes on, and need not ask the broker
    routing.run_session()
    assert (routing.harness.get_order(order).status, routing.broker.received) == (Status.CANCELED, [])
