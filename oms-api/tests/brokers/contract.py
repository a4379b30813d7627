"""The contract of a broker. A broker's tests inherit from `BrokerContract` and add the broker and its market.

`scenario` has the broker, an order that it accepts and works without a fill, an order that it fills at once,
and a function that lets the first order fill.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import pytest

from app.brokers.protocol import Broker
from app.brokers.rules.values import (
    Accepted,
    BrokerOrder,
    Canceled,
    CancelRejected,
    Executed,
    Replaced,
)  # fmt: skip


class BrokerScenario(NamedTuple):
    """`fill(order)` makes the market fill a working order whole."""

    broker: Broker
    now: datetime
    resting_order: BrokerOrder
    filling_order: BrokerOrder
    fill: Callable[[BrokerOrder], None]


def list_event_types(scenario: BrokerScenario, order_id: str) -> list[type]:
    """Return the kinds of the broker's reports of an order, in order."""
    return [
        type(broker_event.event)
        for broker_event in scenario.broker.list_events()
        if broker_event.event.order_id == order_id
    ]


class BrokerContract:
    """Inherit, and give a fixture `scenario`."""

    @pytest.fixture
    def scenario(self) -> BrokerScenario:
        raise NotImplementedError

    def test_broker_name_fits_its_column(self, scenario):
        assert 0 < len(scenario.broker.name) <= 20
        assert isinstance(scenario.broker.is_in_process, bool)

    def test_order_is_accepted_and_works(self, scenario):
        scenario.broker.submit(scenario.resting_order, scenario.now)
        assert list_event_types(scenario, scenario.resting_order.id) == [Accepted]
        assert [order.id for order in scenario.broker.open_orders()] == [scenario.resting_order.id]
        report = scenario.broker.find(scenario.resting_order.id)
        assert report is not None
        assert report.is_open
        assert report.order.leaves == scenario.resting_order.quantity

    def test_unknown_order_is_not_found(self, scenario):
        assert scenario.broker.find("never sent") is None

    def test_repeated_order_id_is_the_same_order(self, scenario):
        for _ in range(2):
            scenario.broker.submit(scenario.filling_order, scenario.now)
        assert list_event_types(scenario, scenario.filling_order.id).count(Accepted) == 1
        assert len(scenario.broker.list_executions(scenario.filling_order.id)) == 1

    def test_fill_is_reported_and_changes_order_and_position(self, scenario):
        scenario.broker.submit(scenario.filling_order, scenario.now)
        (fill,) = scenario.broker.list_executions(scenario.filling_order.id)
        assert list_event_types(scenario, scenario.filling_order.id) == [Accepted, Executed]
        assert fill.quantity == scenario.filling_order.quantity
        assert fill.value == fill.quantity * fill.price
        assert scenario.broker.open_orders() == []
        (position,) = scenario.broker.list_positions()
        assert position.quantity == scenario.filling_order.side.sign * fill.quantity
        assert position.cost == scenario.filling_order.side.sign * fill.value

    def test_fill_changes_the_cash(self, scenario):
        before = scenario.broker.get_account().cash
        scenario.broker.submit(scenario.filling_order, scenario.now)
        (fill,) = scenario.broker.list_executions()
        assert scenario.broker.get_account().cash == before - scenario.filling_order.side.sign * fill.value

    def test_execution_ids_are_unique(self, scenario):
        scenario.broker.submit(scenario.filling_order, scenario.now)
        scenario.broker.submit(scenario.resting_order, scenario.now)
        scenario.fill(scenario.resting_order)
        ids = [fill.execution_id for fill in scenario.broker.list_executions()]
        assert len(ids) == len(set(ids)) == 2

    def test_cancelled_order_does_not_fill(self, scenario):
        scenario.broker.submit(scenario.resting_order, scenario.now)
        scenario.broker.cancel(scenario.resting_order.id, scenario.now)
        scenario.fill(scenario.resting_order)
        assert list_event_types(scenario, scenario.resting_order.id) == [Accepted, Canceled]
        order = scenario.broker.find(scenario.resting_order.id)
        assert order is not None
        assert not order.is_open

    @pytest.mark.parametrize("order_name", ["unknown", "filled"])
    def test_order_that_is_not_working_cannot_be_cancelled(self, scenario, order_name):
        scenario.broker.submit(scenario.filling_order, scenario.now)
        order_id = scenario.filling_order.id if order_name == "filled" else "unknown"
        scenario.broker.cancel(order_id, scenario.now)
        assert list_event_types(scenario, order_id)[-1] is CancelRejected

    def test_replacement_replaces_the_original_order(self, scenario):
        scenario.broker.submit(scenario.resting_order, scenario.now)
        successor = scenario.resting_order._replace(
            id="successor", quantity=scenario.resting_order.quantity * 2
        )
        scenario.broker.replace(scenario.resting_order.id, successor, scenario.now)
        assert list_event_types(scenario, scenario.resting_order.id) == [Accepted, Replaced]
        assert [order.id for order in scenario.broker.open_orders()] == ["successor"]
        scenario.fill(successor)
        (fill,) = scenario.broker.list_executions()
        assert (fill.order_id, fill.quantity) == ("successor", scenario.resting_order.quantity * 2)

    def test_order_that_is_not_working_cannot_be_replaced(self, scenario):
        scenario.broker.submit(scenario.filling_order, scenario.now)
        successor = scenario.filling_order._replace(id="successor")
        scenario.broker.replace(scenario.filling_order.id, successor, scenario.now)
        assert list_event_types(scenario, scenario.filling_order.id)[-1] is CancelRejected
        assert scenario.broker.find("successor") is None

    def test_event_stream_resumes_where_it_stopped(self, scenario):
        scenario.broker.submit(scenario.resting_order, scenario.now)
        first = scenario.broker.list_events()
        scenario.broker.submit(scenario.filling_order, scenario.now)
        later_records = scenario.broker.list_events(first[-1].cursor)
        assert [*first, *later_records] == list(scenario.broker.list_events())
        assert {record.event.order_id for record in later_records} == {scenario.filling_order.id}
        assert scenario.broker.list_events(later_records[-1].cursor) == []

    def test_events_returned_by_calls_are_in_the_stream(self, scenario):
        returned = list(scenario.broker.submit(scenario.filling_order, scenario.now))
        events = [record.event for record in scenario.broker.list_events()]
        assert all(event in events for event in returned)

    def test_amounts_are_exact(self, scenario):
        scenario.broker.submit(scenario.filling_order, scenario.now)
        for fill in scenario.broker.list_executions():
            assert all(isinstance(amount, Decimal) for amount in (fill.quantity, fill.price, fill.value))
