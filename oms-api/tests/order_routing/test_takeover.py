"""A second process takes over a connection while the first one is still sending: nothing is sent twice."""

import pytest

from app.order_routing.queries import transaction
from app.order_routing.service.broker_session import BrokerSession
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import KILLED_AFTER, Killed

pytestmark = pytest.mark.any_database


def create_session(routing, **terms):
    """Return the session of another process on the same database and broker."""
    session = BrokerSession(
        *(routing.rig.engine, routing.stored(), routing.broker, routing._write, lambda: routing.rig.now),
        **terms,
    )
    session.step()
    return session


@pytest.fixture
def second(routing):
    return create_session(routing)


def let_second_go_first(monkeypatch, routing, second):
    """Let the second process send, and die, after the first one chose a request and before it sends it."""
    sender = routing.session._sender
    send = sender._send

    def send_later(request, sending):
        monkeypatch.setattr(sender, "_send", send)
        routing.broker.faults[request.kind.value] = [KILLED_AFTER]
        with pytest.raises(Killed):
            second.step()
        send(request, sending)

    monkeypatch.setattr(sender, "_send", send_later)


def test_request_that_another_process_began_is_not_sent_again(routing, second, monkeypatch):
    order = routing.work()
    routing.rig.replace(order, limit_price="91")
    let_second_go_first(monkeypatch, routing, second)
    routing.run()
    assert [call for call, _ in routing.broker.received] == ["submit", "replace"]
    replaced = routing.rig.order(order)
    assert replaced.status is Status.REPLACED
    assert routing.rig.order(order._replace(id=replaced.replaced_by)).status is Status.ACCEPTED
    assert routing.undone() == []


def test_process_that_lost_its_lease_sends_nothing_more(routing):
    leases = [True]
    first = create_session(routing, may_send=lambda: bool(leases) and leases.pop())
    orders = [routing.place() for _ in range(3)]
    leases.append(True)
    routing.rig.tick()
    first.step()
    assert routing.broker.received == [("submit", orders[0].id)]
    first.step()
    assert routing.broker.received == [("submit", orders[0].id)]
    routing.run()
    assert routing.broker.received == [("submit", order.id) for order in orders]


@pytest.mark.parametrize("is_first_late", [False, True])
def test_events_that_both_processes_read_are_booked_once(routing, second, is_first_late):
    order = routing.work()
    routing.broker.fill(order, "4")
    for session in (second, routing.session) if is_first_late else (routing.session, second):
        session.step()
    assert len(routing.executions()) == 1
    assert routing.rig.order(order).filled_quantity == 4


def test_order_of_the_queue_that_leaves_it_is_not_known_as_sent(routing):
    routing.has_queue = True
    routing.restart()
    routing.run()
    order = routing.place()
    assert routing.undone() == [("submit", "sending")]
    routing.rig.cancel(order)
    with transaction(routing.rig.engine, routing.rig.tenant) as connection:
        routing.session._sender._list_unqueued_requests(connection)
    assert routing.undone() == [("submit", "new"), ("cancel", "new")]
    routing.restart()  # another process goes on, and need not ask the broker
    routing.run()
    assert (routing.rig.order(order).status, routing.broker.received) == (Status.CANCELED, [])
