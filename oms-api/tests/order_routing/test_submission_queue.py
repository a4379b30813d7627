"""A session in the same process gets new orders in memory, and none is lost or sent twice."""

from decimal import Decimal

import pytest

from app.orders.rules.values import Status, StopLoss, TakeProfit
from app.orders.service.broker_request_notifier import MAX_QUEUED_ORDERS, RESERVATION_SECONDS, SubmissionQueue
from app.orders.service.internal_commands import ApplyBrokerReport
from app.timestamps import format_timestamp
from tests.order_routing.scripted_broker import DOWN

pytestmark = pytest.mark.any_database


@pytest.fixture
def routing(routing):
    routing.has_queue = True
    routing.restart()
    routing.run_session()
    return routing


def test_order_is_committed_as_being_sent_and_sent_once(routing):
    orders = [routing.place_order(), routing.place_order()]
    assert routing.list_open_requests() == [("submit", "sending")] * 2
    assert routing.broker.received == []
    routing.run_session()
    assert routing.broker.received == [("submit", order.id) for order in orders]
    assert {routing.harness.get_order(order).status for order in orders} == {Status.ACCEPTED}
    assert routing.list_open_requests() == []


def test_order_is_not_sent_by_another_process_which_cannot_know_whether_it_was(routing):
    order = routing.place_order()
    routing.restart()
    routing.run_session(20)
    assert routing.harness.get_order(order).status is Status.SUBMITTED
    routing.run_session(60)
    assert (routing.harness.get_order(order).status, routing.broker.received) == (Status.REJECTED, [])


def test_exit_is_read_when_it_is_sent_because_its_pair_may_reduce_it(routing):
    exits = {"take_profit": TakeProfit(Decimal(120)), "stop_loss": StopLoss(Decimal(80))}
    entry = routing.place_order(quantity="1.5", time_in_force="DAY", **exits)
    assert routing.list_open_requests() == [("submit", "sending")]
    routing.run_session()
    fill, at = routing.broker.fill(entry, "1.5"), format_timestamp(routing.harness.now)
    routing.harness.run(ApplyBrokerReport(routing.harness.tenant, entry.id, fill, at))
    assert routing.list_open_requests() == [("submit", "new")]


def test_order_that_is_cancelled_first_is_never_sent(routing):
    order = routing.place_order()
    routing.harness.cancel(order)
    routing.run_session()
    assert (routing.harness.get_order(order).status, routing.broker.received) == (Status.CANCELED, [])
    assert routing.list_open_requests() == []


def test_cancel_is_sent_before_waiting_orders(routing):
    first = routing.place_working_order()
    routing.harness.cancel(first)
    second = routing.place_order()
    routing.run_session()
    assert routing.broker.received[1:] == [("cancel", first.id), ("submit", second.id)]


def test_orders_are_sent_after_the_broker_is_back(routing):
    order = routing.place_order()
    routing.broker.faults["events"] = [DOWN]
    routing.session.run_step()
    assert routing.list_open_requests() == [("submit", "new")]
    routing.run_session(5)
    assert routing.broker.received == [("submit", order.id)]
    assert routing.harness.get_order(order).status is Status.ACCEPTED


def test_session_that_ends_leaves_its_orders_to_the_next_one(routing):
    order = routing.place_order()
    routing.session.close()
    later = routing.place_order()
    assert routing.list_open_requests() == [("submit", "new")] * 2
    routing.has_queue = False
    routing.restart()
    routing.run_session()
    assert routing.broker.received == [("submit", order.id), ("submit", later.id)]


def test_order_that_waited_too_long_is_rejected(routing):
    order = routing.place_order()
    routing.harness.advance_clock(seconds=61)
    routing.run_session()
    assert (routing.harness.get_order(order).status, routing.broker.received) == (Status.REJECTED, [])


def test_lane_is_bounded_and_reservations_end():
    now = [0.0]
    queue = SubmissionQueue(lambda: now[0])
    assert not queue.reserve("closed")
    queue.open()
    assert all(queue.reserve(f"O{number}") for number in range(MAX_QUEUED_ORDERS))
    assert queue.is_expecting("O1")
    assert not queue.reserve("full")
    now[0] += RESERVATION_SECONDS + 1
    assert not queue.is_expecting("O1")
    assert not queue.reserve("removes what is over")
    assert queue.reserve("free again")
