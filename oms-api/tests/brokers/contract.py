"""The contract of a broker. A broker's tests inherit from `BrokerContract` and add the broker and its market.

`stage` has the broker, an order that it accepts and works without a fill, an order that it fills at once, and
a function that lets the first order fill.
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
    Executed,
    Refused,
    Replaced,
)  # fmt: skip


class BrokerSetup(NamedTuple):
    """`fill(order)` makes the market fill a working order whole."""

    broker: Broker
    now: datetime
    resting: BrokerOrder
    filling: BrokerOrder
    fill: Callable[[BrokerOrder], None]


def list_event_types(stage: BrokerSetup, order_id: str) -> list[type]:
    """Return the kinds of the broker's reports of an order, in order."""
    return [
        type(broker_event.event)
        for broker_event in stage.broker.list_events()
        if broker_event.event.order_id == order_id
    ]


class BrokerContract:
    """Inherit, and give a fixture `stage`."""

    @pytest.fixture
    def stage(self) -> BrokerSetup:
        raise NotImplementedError

    def test_broker_name_fits_its_column(self, stage):
        assert 0 < len(stage.broker.name) <= 20
        assert isinstance(stage.broker.is_in_process, bool)

    def test_order_is_accepted_and_works(self, stage):
        stage.broker.submit(stage.resting, stage.now)
        assert list_event_types(stage, stage.resting.id) == [Accepted]
        assert [order.id for order in stage.broker.open_orders()] == [stage.resting.id]
        report = stage.broker.find(stage.resting.id)
        assert report is not None
        assert report.is_open
        assert report.order.leaves == stage.resting.quantity

    def test_unknown_order_is_not_found(self, stage):
        assert stage.broker.find("never sent") is None

    def test_repeated_order_id_is_the_same_order(self, stage):
        for _ in range(2):
            stage.broker.submit(stage.filling, stage.now)
        assert list_event_types(stage, stage.filling.id).count(Accepted) == 1
        assert len(stage.broker.list_executions(stage.filling.id)) == 1

    def test_fill_is_reported_and_changes_order_and_position(self, stage):
        stage.broker.submit(stage.filling, stage.now)
        (fill,) = stage.broker.list_executions(stage.filling.id)
        assert list_event_types(stage, stage.filling.id) == [Accepted, Executed]
        assert fill.quantity == stage.filling.quantity
        assert fill.value == fill.quantity * fill.price
        assert stage.broker.open_orders() == []
        (position,) = stage.broker.list_positions()
        assert position.quantity == stage.filling.side.sign * fill.quantity
        assert position.cost == stage.filling.side.sign * fill.value

    def test_fill_changes_the_cash(self, stage):
        before = stage.broker.get_account().cash
        stage.broker.submit(stage.filling, stage.now)
        (fill,) = stage.broker.list_executions()
        assert stage.broker.get_account().cash == before - stage.filling.side.sign * fill.value

    def test_execution_ids_are_unique(self, stage):
        stage.broker.submit(stage.filling, stage.now)
        stage.broker.submit(stage.resting, stage.now)
        stage.fill(stage.resting)
        ids = [fill.execution_id for fill in stage.broker.list_executions()]
        assert len(ids) == len(set(ids)) == 2

    def test_cancelled_order_does_not_fill(self, stage):
        stage.broker.submit(stage.resting, stage.now)
        stage.broker.cancel(stage.resting.id, stage.now)
        stage.fill(stage.resting)
        assert list_event_types(stage, stage.resting.id) == [Accepted, Canceled]
        order = stage.broker.find(stage.resting.id)
        assert order is not None
        assert not order.is_open

    @pytest.mark.parametrize("which", ["unknown", "filled"])
    def test_order_that_is_not_working_cannot_be_cancelled(self, stage, which):
        stage.broker.submit(stage.filling, stage.now)
        order_id = stage.filling.id if which == "filled" else "unknown"
        stage.broker.cancel(order_id, stage.now)
        assert list_event_types(stage, order_id)[-1] is Refused

    def test_replacement_replaces_the_original_order(self, stage):
        stage.broker.submit(stage.resting, stage.now)
        successor = stage.resting._replace(id="successor", quantity=stage.resting.quantity * 2)
        stage.broker.replace(stage.resting.id, successor, stage.now)
        assert list_event_types(stage, stage.resting.id) == [Accepted, Replaced]
        assert [order.id for order in stage.broker.open_orders()] == ["successor"]
        stage.fill(successor)
        (fill,) = stage.broker.list_executions()
        assert (fill.order_id, fill.quantity) == ("successor", stage.resting.quantity * 2)

    def test_order_that_is_not_working_cannot_be_replaced(self, stage):
        stage.broker.submit(stage.filling, stage.now)
        successor = stage.filling._replace(id="successor")
        stage.broker.replace(stage.filling.id, successor, stage.now)
        assert list_event_types(stage, stage.filling.id)[-1] is Refused
        assert stage.broker.find("successor") is None

    def test_event_stream_resumes_where_it_stopped(self, stage):
        stage.broker.submit(stage.resting, stage.now)
        first = stage.broker.list_events()
        stage.broker.submit(stage.filling, stage.now)
        later_records = stage.broker.list_events(first[-1].cursor)
        assert [*first, *later_records] == list(stage.broker.list_events())
        assert {record.event.order_id for record in later_records} == {stage.filling.id}
        assert stage.broker.list_events(later_records[-1].cursor) == []

    def test_events_returned_by_calls_are_in_the_stream(self, stage):
        returned = list(stage.broker.submit(stage.filling, stage.now))
        events = [record.event for record in stage.broker.list_events()]
        assert all(event in events for event in returned)

    def test_amounts_are_exact(self, stage):
        stage.broker.submit(stage.filling, stage.now)
        for fill in stage.broker.list_executions():
            assert all(isinstance(amount, Decimal) for amount in (fill.quantity, fill.price, fill.value))
