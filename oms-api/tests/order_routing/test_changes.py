"""Cancels and replacements at a broker: they cross fills, each other, crashes and lost answers."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Accepted, Canceled, Refused, Replaced
from app.ledger.rules.keys import PortfolioKey
from app.orders.errors import NotReplaceable, OrderIsPending
from app.orders.rules.values import Status
from app.orders.service.commands import CancelAll
from app.orders.service.internal_commands import BrokerReport
from app.timestamps import format_timestamp
from app.verify import verify_database
from tests.order_routing.scripted_broker import DOWN, KILLED_AFTER, KILLED_BEFORE, LOST, UNANSWERED

pytestmark = pytest.mark.any_database


def test_cancel_waits_for_the_broker(routing):
    order = routing.work()
    routing.rig.cancel(order)
    assert routing.rig.order(order).status is Status.PENDING_CANCEL
    routing.rig.cancel(order)  # again: one request is enough
    assert routing.undone() == [("cancel", "new")]
    routing.run()
    assert routing.rig.order(order).status is Status.CANCELED
    assert routing.broker.received[1:] == [("cancel", order.id)]


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, UNANSWERED, LOST, DOWN])
def test_cancel_arrives_whatever_fails(routing, fault):
    order = routing.work()
    routing.broker.faults["cancel"] = [fault]
    routing.rig.cancel(order)
    routing.run(20)
    assert routing.rig.order(order).status is Status.CANCELED
    assert routing.undone() == []


def test_order_that_was_not_sent_is_cancelled_without_the_broker(routing):
    order = routing.place()
    routing.rig.cancel(order)
    routing.run()
    assert routing.rig.order(order).status is Status.CANCELED
    assert routing.broker.received == []
    assert routing.undone() == []


def test_order_whose_replacement_is_refused_before_its_acceptance_waits_for_it(routing):
    order = routing.place()
    routing.broker.faults["submit"] = [LOST]
    routing.run(1)
    routing.rig.replace(order, limit_price="91")
    refused = Refused(order.id, "Not yet", routing.rig.now)
    routing.rig.run(BrokerReport(routing.rig.tenant, order.id, refused, format_timestamp(routing.rig.now)))
    waiting = routing.rig.order(order)
    assert (waiting.status, waiting.accepted_at) == (Status.SUBMITTED, None)
    routing.run(70)
    assert routing.rig.order(order).status is Status.REJECTED
    assert routing.undone() == []


def test_cancel_that_crosses_the_replacement_of_an_order_that_was_not_accepted(routing):
    order = routing.place()
    routing.rig.replace(order, limit_price="91")
    routing.rig.cancel(order)
    (successor_id,) = routing.rig.rows("SELECT successor_id FROM broker_requests WHERE kind = 'replace'")[0]
    replaced = Replaced(order.id, successor_id, routing.rig.now)
    routing.rig.run(BrokerReport(routing.rig.tenant, order.id, replaced, format_timestamp(routing.rig.now)))
    assert routing.rig.order(order).status is Status.REPLACED
    assert routing.rig.order(order._replace(id=successor_id)).status is Status.PENDING_CANCEL


def test_cancels_pass_orders_that_wait(routing):
    working = routing.work()
    routing.place()
    routing.rig.cancel(working)
    routing.run()
    assert [call for call, _ in routing.broker.received] == ["submit", "cancel", "submit"]


@pytest.mark.parametrize("quantity", ["4", "10"])
def test_fill_that_crosses_a_cancel_is_booked(routing, quantity):
    order = routing.work()
    routing.rig.cancel(order)
    routing.broker.fill(order, quantity)
    routing.run(5)
    ended = routing.rig.order(order)
    assert ended.status is (Status.FILLED if quantity == "10" else Status.CANCELED)
    assert ended.filled_quantity == Decimal(quantity)
    assert len(routing.executions()) == 1


def test_acceptance_after_a_cancel_leaves_it_pending(routing):
    order = routing.place()
    routing.broker.faults["submit"] = [UNANSWERED]
    routing.broker.is_silent = True
    routing.run(1)
    routing.rig.cancel(order)
    pending = routing.rig.report(order, Accepted(order.id, routing.rig.now))
    assert pending.status is Status.PENDING_CANCEL
    assert pending.accepted_at is not None
    again = routing.rig.report(order, Accepted(order.id, routing.rig.now))
    assert again.event_count == pending.event_count
    assert not verify_database(routing.rig.engine).failed.keys() - {"portfolio record"}
    routing.run(20)
    assert routing.rig.order(order).status is Status.CANCELED


def test_refused_cancel_leaves_the_order_working(routing):
    order = routing.work()
    routing.rig.cancel(order)
    assert routing.rig.report(order, Refused(order.id, "Busy", routing.rig.now)).status is Status.ACCEPTED
    assert routing.rig.report(order, Canceled(order.id, routing.rig.now)).status is Status.CANCELED
    again = routing.rig.report(order, Refused(order.id, "Too late", routing.rig.now))
    assert again.event_count == routing.rig.order(order).event_count
    assert routing.rig.rows("SELECT 1 FROM order_events WHERE reason = 'not applied'") == []


def test_kill_switch_needs_no_broker(routing):
    order = routing.work()
    routing.broker.faults["events"], routing.broker.faults["account"] = [DOWN], [DOWN] * 3
    routing.run(1)
    (done,) = routing.rig.run(CancelAll(routing.rig.origin(), "growth", "Growth", None, None, None, "Stop"))
    assert [view.order.status for view in done.orders] == [Status.PENDING_CANCEL]
    routing.run(20)  # the broker is asked less often the longer it is down
    assert routing.rig.order(order).status is Status.CANCELED


def successor_of(routing, order):
    routing_order = routing.rig.order(order)
    assert routing_order.status is Status.REPLACED
    [(successor_id,)] = routing.rig.rows("SELECT id FROM orders WHERE replaces IS NOT NULL")
    assert routing_order.replaced_by == successor_id
    return routing.rig.order(routing_order._replace(id=successor_id))


def test_successor_stands_once_the_broker_confirms(routing):
    order = routing.work()
    (done,) = [routing.rig.replace(order, quantity="20", limit_price="91")]
    assert [view.order.id for view in done.orders] == [order.id]
    assert routing.rig.order(order).status is Status.PENDING_REPLACE
    assert len(routing.rig.rows("SELECT id FROM orders")) == 1
    assert isinstance(routing.rig.replace(order, quantity="30"), OrderIsPending)
    routing.run()
    successor = successor_of(routing, order)
    assert (successor.status, successor.quantity, successor.limit_price) == (Status.ACCEPTED, 20, 91)
    routing.broker.fill(successor, "20", "91")
    routing.run()
    assert routing.rig.order(successor).status is Status.FILLED


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, UNANSWERED, LOST, DOWN])
def test_replacement_happens_once_or_not_at_all(routing, fault):
    order = routing.work()
    routing.broker.faults["replace"] = [fault]
    routing.rig.replace(order, quantity="20")
    routing.run(80)
    was_received = fault in (KILLED_AFTER, UNANSWERED, DOWN)
    assert routing.undone() == []
    assert len(routing.rig.rows("SELECT id FROM orders")) == (2 if was_received else 1)
    if was_received:
        assert successor_of(routing, order).status is Status.ACCEPTED
    else:
        assert routing.rig.order(order).status is Status.ACCEPTED


def test_fill_that_crosses_a_replacement_is_carried_over(routing):
    order = routing.work()
    routing.rig.replace(order, quantity="20")
    routing.broker.fill(order, "4")
    routing.run(5)
    successor = successor_of(routing, order)
    assert (successor.status, successor.filled_quantity, successor.leaves_quantity) == (
        *(Status.PARTIALLY_FILLED, 4, 16),
    )


def test_cancel_that_crosses_a_replacement_reaches_the_successor(routing):
    order = routing.work()
    routing.broker.faults["replace"] = [UNANSWERED]
    routing.broker.is_silent = True
    routing.rig.replace(order, quantity="20")
    routing.run(1)
    routing.rig.cancel(order)
    routing.run(30)
    assert successor_of(routing, order).status is Status.CANCELED
    assert list(routing.broker.open_orders()) == []
    assert routing.undone() == []


def test_replacement_of_an_order_that_ended_is_refused(routing):
    order = routing.work()
    routing.rig.replace(order, quantity="20")
    routing.broker.fill(order, "10")
    routing.run(5)
    assert routing.rig.order(order).status is Status.FILLED
    told = routing.rig.report(order, Replaced(order.id, "O1", routing.rig.now))
    assert told.status is Status.FILLED


def test_replacement_that_would_leave_nothing_is_refused_at_once(routing):
    order = routing.work()
    routing.broker.fill(order, "4")
    routing.run()
    assert isinstance(routing.rig.replace(order, quantity="3"), NotReplaceable)
    assert routing.rig.order(order).status is Status.PARTIALLY_FILLED
    assert routing.undone() == []


def test_portfolio_is_flat_again_after_a_round_trip(routing):
    order = routing.work()
    routing.broker.fill(order, "10")
    routing.run()
    closed = routing.rig.close()
    routing.run()
    closing = closed.orders[0].order
    routing.broker.fill(closing, "10", "95")
    routing.run()
    with routing.rig.engine.connect():
        positions = routing.rig.rows("SELECT quantity FROM positions")
    assert [Decimal(str(one[0])) for one in positions] == [0]
    assert isinstance(routing.rig.order(closing).portfolio_key, PortfolioKey)
