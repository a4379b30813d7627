"""The second order of an OTO is held here until its broker has filled the first one."""

import pytest

from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import LIMIT
from tests.orders.rig import ticket

pytestmark = pytest.mark.any_database
EXIT = {"side": "SELL", "type": "STOP", "stop_price": "80", "time_in_force": "GTC"}


@pytest.fixture
def linked(routing):
    """Place an OTO, whose first order the broker works."""
    orders = routing.rig.pair("OTO", ticket(**LIMIT), ticket(**EXIT))
    routing.run()
    return orders


def find_statuses(routing, orders):
    return [routing.rig.order(order).status for order in orders]


@pytest.mark.parametrize("kill", [None, "before", "after"])
def test_second_order_is_sent_once_with_the_fill_of_the_first(routing, linked, kill):
    first, second = linked
    assert find_statuses(routing, linked) == [Status.ACCEPTED, Status.HELD]
    assert routing.broker.received == [("submit", first.id)]
    routing.broker.fill(first, "4")
    routing.run()
    assert find_statuses(routing, linked) == [Status.PARTIALLY_FILLED, Status.HELD]
    routing.kills = [kill] if kill else []
    routing.broker.fill(first, "6")
    routing.run(5)
    assert find_statuses(routing, linked) == [Status.FILLED, Status.ACCEPTED]
    assert routing.broker.received == [("submit", first.id), ("submit", second.id)]


def test_second_order_ends_with_the_first(routing, linked):
    routing.rig.cancel(linked[0])
    routing.run()
    assert find_statuses(routing, linked) == [Status.CANCELED, Status.CANCELED]
    assert [call for call, _ in routing.broker.received] == ["submit", "cancel"]


def test_linked_order_is_replaced_and_keeps_its_second_order(routing, linked):
    routing.rig.replace(linked[0], quantity="20")
    routing.run()
    successor_id = routing.rig.order(linked[0]).replaced_by
    assert routing.rig.order(linked[1]).parent_id == successor_id
    routing.broker.fill(routing.rig.order(linked[0]._replace(id=successor_id)), "20")
    routing.run()
    assert routing.rig.order(linked[1]).status is Status.ACCEPTED


def test_pair_that_can_not_be_emulated_is_refused(routing):
    orders = routing.rig.pair("OCO", ticket(**LIMIT), ticket(**LIMIT))
    assert {order.status for order in orders} == {Status.DENIED, Status.CANCELED}
    assert "BROKER_GROUPS" in next(order.denial for order in orders if order.denial)
    assert routing.broker.received == []
