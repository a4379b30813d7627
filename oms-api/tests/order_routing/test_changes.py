"""Cancels and replacements at a broker: they cross fills, each other, crashes and lost answers."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Accepted, Canceled, CancelRejected, Replaced
from app.ledger.rules.keys import PortfolioKey
from app.orders.errors import NotReplaceable, OrderIsPending
from app.orders.rules.values import Status
from app.orders.service.commands import CancelAll
from app.orders.service.internal_commands import ApplyBrokerReport
from app.timestamps import format_timestamp
from app.verify import verify_database
from tests.order_routing.scripted_broker import DOWN, KILLED_AFTER, KILLED_BEFORE, LOST, UNANSWERED

pytestmark = [pytest.mark.any_database, pytest.mark.usefixtures("decides_on_loaded_state")]


def test_cancel_waits_for_the_broker(routing):
    order = routing.place_working_order()
    routing.harness.cancel(order)
    assert routing.harness.get_order(order).status is Status.PENDING_CANCEL
    routing.harness.cancel(order)  # again: one request is enough
    assert routing.list_open_requests() == [("cancel", "new")]
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.CANCELED
    assert routing.broker.received[1:] == [("cancel", order.id)]


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, UNANSWERED, LOST, DOWN])
def test_cancel_arrives_despite_any_failure(routing, fault):
    order = routing.place_working_order()
    routing.broker.faults["cancel"] = [fault]
    routing.harness.cancel(order)
    routing.run_session(20)
    assert routing.harness.get_order(order).status is Status.CANCELED
    assert routing.list_open_requests() == []


def test_order_that_was_not_sent_is_cancelled_without_the_broker(routing):
    order = routing.place_order()
    routing.harness.cancel(order)
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.CANCELED
    assert routing.broker.received == []
    assert routing.list_open_requests() == []


def test_order_whose_replacement_is_refused_before_its_acceptance_waits_for_it(routing):
    order = routing.place_order()
    routing.broker.faults["submit"] = [LOST]
    routing.run_session(1)
    routing.harness.replace(order, limit_price="91")
    refused = CancelRejected(order.id, "Not yet", routing.harness.now)
    routing.harness.run(
        ApplyBrokerReport(routing.harness.tenant, order.id, refused, format_timestamp(routing.harness.now))
    )
    waiting = routing.harness.get_order(order)
    assert (waiting.status, waiting.accepted_at) == (Status.SUBMITTED, None)
    routing.run_session(70)
    assert routing.harness.get_order(order).status is Status.REJECTED
    assert routing.list_open_requests() == []


def test_cancel_that_crosses_the_replacement_of_an_order_that_was_not_accepted(routing):
    order = routing.place_order()
    routing.harness.replace(order, limit_price="91")
    routing.harness.cancel(order)
    (successor_id,) = routing.harness.query(
        "SELECT successor_id FROM broker_requests WHERE kind = 'replace'"
    )[0]
    replaced = Replaced(order.id, successor_id, routing.harness.now)
    routing.harness.run(
        ApplyBrokerReport(routing.harness.tenant, order.id, replaced, format_timestamp(routing.harness.now))
    )
    assert routing.harness.get_order(order).status is Status.REPLACED
    assert routing.harness.get_order(order._replace(id=successor_id)).status is Status.PENDING_CANCEL


def test_cancels_pass_orders_that_wait(routing):
    working = routing.place_working_order()
    routing.place_order()
    routing.harness.cancel(working)
    routing.run_session()
    assert [call for call, _ in routing.broker.received] == ["submit", "cancel", "submit"]


@pytest.mark.parametrize("quantity", ["4", "10"])
def test_fill_that_crosses_a_cancel_is_booked(routing, quantity):
    order = routing.place_working_order()
    routing.harness.cancel(order)
    routing.broker.fill(order, quantity)
    routing.run_session(5)
    ended = routing.harness.get_order(order)
    assert ended.status is (Status.FILLED if quantity == "10" else Status.CANCELED)
    assert ended.filled_quantity == Decimal(quantity)
    assert len(routing.list_executions()) == 1


def test_acceptance_after_a_cancel_leaves_it_pending(routing):
    order = routing.place_order()
    routing.broker.faults["submit"] = [UNANSWERED]
    routing.broker.is_silent = True
    routing.run_session(1)
    routing.harness.cancel(order)
    pending = routing.harness.report_broker_event(order, Accepted(order.id, routing.harness.now))
    assert pending.status is Status.PENDING_CANCEL
    assert pending.accepted_at is not None
    again = routing.harness.report_broker_event(order, Accepted(order.id, routing.harness.now))
    assert again.event_count == pending.event_count
    assert not verify_database(routing.harness.engine).failed.keys() - {"portfolio record"}
    routing.run_session(20)
    assert routing.harness.get_order(order).status is Status.CANCELED


def test_refused_cancel_leaves_the_order_working(routing):
    order = routing.place_working_order()
    routing.harness.cancel(order)
    assert (
        routing.harness.report_broker_event(
            order, CancelRejected(order.id, "Busy", routing.harness.now)
        ).status
        is Status.ACCEPTED
    )
    assert (
        routing.harness.report_broker_event(order, Canceled(order.id, routing.harness.now)).status
        is Status.CANCELED
    )
    again = routing.harness.report_broker_event(
        order, CancelRejected(order.id, "Too late", routing.harness.now)
    )
    assert again.event_count == routing.harness.get_order(order).event_count
    assert routing.harness.query("SELECT 1 FROM order_events WHERE reason = 'not applied'") == []


def test_kill_switch_needs_no_broker(routing):
    order = routing.place_working_order()
    routing.broker.faults["events"], routing.broker.faults["account"] = [DOWN], [DOWN] * 3
    routing.run_session(1)
    (result,) = routing.harness.run(
        CancelAll(routing.harness.build_origin(), "Growth", "growth", None, None, None, "Stop")
    )
    assert [view.order.status for view in result.orders] == [Status.PENDING_CANCEL]
    routing.run_session(20)  # the broker is asked less often the longer it is down
    assert routing.harness.get_order(order).status is Status.CANCELED


def find_successor(routing, order):
    routing_order = routing.harness.get_order(order)
    assert routing_order.status is Status.REPLACED
    [(successor_id,)] = routing.harness.query("SELECT id FROM orders WHERE replaces IS NOT NULL")
    assert routing_order.replaced_by == successor_id
    return routing.harness.get_order(routing_order._replace(id=successor_id))


def test_successor_works_after_the_broker_confirms_it(routing):
    order = routing.place_working_order()
    (result,) = [routing.harness.replace(order, quantity="20", limit_price="91")]
    assert [view.order.id for view in result.orders] == [order.id]
    assert routing.harness.get_order(order).status is Status.PENDING_REPLACE
    assert len(routing.harness.query("SELECT id FROM orders")) == 1
    assert isinstance(routing.harness.replace(order, quantity="30"), OrderIsPending)
    routing.run_session()
    successor = find_successor(routing, order)
    assert (successor.status, successor.quantity, successor.limit_price) == (Status.ACCEPTED, 20, 91)
    routing.broker.fill(successor, "20", "91")
    routing.run_session()
    assert routing.harness.get_order(successor).status is Status.FILLED


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, UNANSWERED, LOST, DOWN])
def test_replacement_happens_once_or_not_at_all(routing, fault):
    order = routing.place_working_order()
    routing.broker.faults["replace"] = [fault]
    routing.harness.replace(order, quantity="20")
    routing.run_session(80)
    was_received = fault in (KILLED_AFTER, UNANSWERED, DOWN)
    assert routing.list_open_requests() == []
    assert len(routing.harness.query("SELECT id FROM orders")) == (2 if was_received else 1)
    if was_received:
        assert find_successor(routing, order).status is Status.ACCEPTED
    else:
        assert routing.harness.get_order(order).status is Status.ACCEPTED


def test_fill_that_crosses_a_replacement_is_carried_over(routing):
    order = routing.place_working_order()
    routing.harness.replace(order, quantity="20")
    routing.broker.fill(order, "4")
    routing.run_session(5)
    successor = find_successor(routing, order)
    assert (successor.status, successor.filled_quantity, successor.leaves_quantity) == (
        *(Status.PARTIALLY_FILLED, 4, 16),
    )


def test_cancel_that_crosses_a_replacement_reaches_the_successor(routing):
    order = routing.place_working_order()
    routing.broker.faults["replace"] = [UNANSWERED]
    routing.broker.is_silent = True
    routing.harness.replace(order, quantity="20")
    routing.run_session(1)
    routing.harness.cancel(order)
    routing.run_session(30)
    assert find_successor(routing, order).status is Status.CANCELED
    assert list(routing.broker.open_orders()) == []
    assert routing.list_open_requests() == []


def test_replacement_of_an_order_that_ended_is_refused(routing):
    order = routing.place_working_order()
    routing.harness.replace(order, quantity="20")
    routing.broker.fill(order, "10")
    routing.run_session(5)
    assert routing.harness.get_order(order).status is Status.FILLED
    result = routing.harness.report_broker_event(order, Replaced(order.id, "O1", routing.harness.now))
    assert result.status is Status.FILLED


def test_replacement_below_the_filled_quantity_is_refused(routing):
    order = routing.place_working_order()
    routing.broker.fill(order, "4")
    routing.run_session()
    assert isinstance(routing.harness.replace(order, quantity="3"), NotReplaceable)
    assert routing.harness.get_order(order).status is Status.PARTIALLY_FILLED
    assert routing.list_open_requests() == []


def test_portfolio_is_flat_again_after_a_round_trip(routing):
    order = routing.place_working_order()
    routing.broker.fill(order, "10")
    routing.run_session()
    closed = routing.harness.close_position()
    routing.run_session()
    closing = closed.orders[0].order
    routing.broker.fill(closing, "10", "95")
    routing.run_session()
    with routing.harness.engine.connect():
        positions = routing.harness.query("SELECT quantity FROM positions")
    assert [Decimal(str(position[0])) for position in positions] == [0]
    assert isinstance(routing.harness.get_order(closing).portfolio_key, PortfolioKey)
