"""The second order of an OTO is held here until its broker has filled the first one."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Accepted, Executed
from app.orders.rules.values import Status
from app.verify import verify_database
from tests.order_routing.scripted_broker import LIMIT
from tests.orders.writer_harness import build_ticket

pytestmark = pytest.mark.any_database
EXIT = {"side": "SELL", "type": "STOP", "stop_price": "80", "time_in_force": "GTC"}


@pytest.fixture
def linked_orders(routing):
    """Place an OTO, whose first order the broker works."""
    orders = routing.harness.place_pair("OTO", build_ticket(**LIMIT), build_ticket(**EXIT))
    routing.run_session()
    return orders


def find_statuses(routing, orders):
    return [routing.harness.get_order(order).status for order in orders]


@pytest.mark.parametrize("kill", [None, "before", "after"])
def test_second_order_is_sent_once_with_the_fill_of_the_first(routing, linked_orders, kill):
    first, second = linked_orders
    assert find_statuses(routing, linked_orders) == [Status.ACCEPTED, Status.HELD]
    assert routing.broker.received == [("submit", first.id)]
    routing.broker.fill(first, "4")
    routing.run_session()
    assert find_statuses(routing, linked_orders) == [Status.PARTIALLY_FILLED, Status.HELD]
    routing.kills = [kill] if kill else []
    routing.broker.fill(first, "6")
    routing.run_session(5)
    assert find_statuses(routing, linked_orders) == [Status.FILLED, Status.ACCEPTED]
    assert routing.broker.received == [("submit", first.id), ("submit", second.id)]


@pytest.mark.parametrize(("quantity", "status"), [("4", Status.PARTIALLY_FILLED), ("10", Status.FILLED)])
def test_fill_that_is_reported_before_the_acceptance_is_booked_once(routing, linked_orders, quantity, status):
    first, second = linked_orders
    units = Decimal(quantity)
    fill = Executed(second.id, "X-early", units, Decimal(80), units * 80, routing.harness.now)
    for event in (fill, Accepted(second.id, routing.harness.now), fill):
        routing.harness.report_broker_event(second, event)
    assert find_statuses(routing, linked_orders) == [Status.ACCEPTED, status]
    routing.broker.fill(first, "10")
    routing.run_session()
    assert find_statuses(routing, linked_orders) == [Status.FILLED, status]
    assert [row[0] for row in routing.list_executions()][-1] == "X-early"
    assert len(routing.list_executions()) == 2
    assert routing.broker.received == [("submit", first.id)]
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL


def test_second_order_ends_with_the_first(routing, linked_orders):
    routing.harness.cancel(linked_orders[0])
    routing.run_session()
    assert find_statuses(routing, linked_orders) == [Status.CANCELED, Status.CANCELED]
    assert [call for call, _ in routing.broker.received] == ["submit", "cancel"]


def test_linked_order_is_replaced_and_keeps_its_second_order(routing, linked_orders):
    routing.harness.replace(linked_orders[0], quantity="20")
    routing.run_session()
    successor_id = routing.harness.get_order(linked_orders[0]).replaced_by
    assert routing.harness.get_order(linked_orders[1]).parent_id == successor_id
    routing.broker.fill(routing.harness.get_order(linked_orders[0]._replace(id=successor_id)), "20")
    routing.run_session()
    assert routing.harness.get_order(linked_orders[1]).status is Status.ACCEPTED


def test_pair_that_can_not_be_emulated_is_refused(routing):
    orders = routing.harness.place_pair("OCO", build_ticket(**LIMIT), build_ticket(**LIMIT))
    assert {order.status for order in orders} == {Status.DENIED, Status.CANCELED}
    assert "BROKER_GROUPS" in next(order.denial for order in orders if order.denial)
    assert routing.broker.received == []
