"""Events that the writer refuses, because of a defect for example, while it writes others."""

import pytest

from app.errors import NotPlaced
from app.order_routing.service.report_writer import NotApplied, ReportWriter
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import DOWN

RETRY_SECONDS = 20  # more than the interval between two attempts


@pytest.fixture
def refused_order(routing):
    """Return a working order whose further events are refused."""
    order = routing.place_working_order()
    routing.refused.add(order.id)
    return order


def find_status(routing, order):
    return routing.harness.get_order(order).status


def test_refused_event_stops_neither_other_events_nor_requests(routing, refused_order):
    filled, canceled = routing.place_working_order(), routing.place_working_order()
    routing.broker.fill(refused_order, "4")
    routing.broker.fill(filled, "10")
    routing.harness.cancel(canceled)
    sent = routing.place_order()
    routing.run_session(3)
    orders = (refused_order, filled, canceled, sent)
    expected = [Status.ACCEPTED, Status.FILLED, Status.CANCELED, Status.ACCEPTED]
    assert [find_status(routing, order) for order in orders] == expected
    assert routing.get_connection().checked_at == routing.harness.now
    routing.refused.clear()
    routing.run_session(RETRY_SECONDS)
    assert find_status(routing, refused_order) is Status.PARTIALLY_FILLED
    assert len(routing.list_executions()) == 2


def test_refused_events_are_read_again_by_the_next_process(routing, refused_order):
    routing.broker.fill(refused_order, "10")
    routing.run_session()
    routing.refused.clear()
    routing.restart()
    routing.run_session()
    assert find_status(routing, refused_order) is Status.FILLED


def test_connect_does_not_wait_for_a_refused_event(routing, refused_order):
    routing.broker.fill(refused_order, "10")
    routing.restart()
    other = routing.place_working_order()
    assert find_status(routing, other) is Status.ACCEPTED
    assert routing.get_connection().status == "connected"


@pytest.mark.parametrize("is_restarted", [False, True])
def test_outcome_of_a_request_is_read_again_if_it_was_refused(routing, is_restarted):
    order = routing.place_order()
    routing.refused.add(order.id)
    other = routing.place_working_order()
    assert find_status(routing, other) is Status.ACCEPTED
    assert routing.list_open_requests() == [("submit", "unknown")]
    routing.refused.clear()
    if is_restarted:
        routing.restart()
    routing.run_session(RETRY_SECONDS)
    assert find_status(routing, order) is Status.ACCEPTED
    assert routing.list_open_requests() == []
    assert routing.broker.received.count(("submit", order.id)) == 1


@pytest.mark.parametrize("is_restarted", [False, True])
def test_canceled_order_is_not_sent_after_its_end_was_refused(routing, is_restarted):
    order = routing.place_order()
    routing.harness.cancel(order)
    routing.refused.add(order.id)
    routing.run_session(3)
    assert routing.list_open_requests() == [("submit", "new"), ("cancel", "new")]
    routing.refused.clear()
    if is_restarted:
        routing.restart()
    routing.run_session(RETRY_SECONDS)
    assert find_status(routing, order) is Status.CANCELED
    assert routing.list_open_requests() == []
    assert ("submit", order.id) not in routing.broker.received


def test_rejection_of_an_overdue_order_is_tried_again(routing):
    order = routing.place_order()
    routing.refused.add(order.id)
    routing.broker.faults["events"], routing.broker.faults["account"] = [DOWN], [DOWN] * 100
    routing.run_session(65)
    assert routing.list_open_requests() == [("submit", "new")]
    routing.refused.clear()
    routing.run_session(RETRY_SECONDS)
    assert find_status(routing, order) is Status.REJECTED
    assert routing.list_open_requests() == []
    assert routing.broker.received == []


def test_writer_that_is_not_available_gets_all_events_again(routing, refused_order):
    def refuse(commands):
        return [NotPlaced("The database is too slow.")] * len(commands)

    routing.broker.fill(refused_order, "10")
    harness = routing.harness
    reports = ReportWriter(harness.engine, harness.tenant, refuse, lambda: harness.now)
    with pytest.raises(NotApplied, match="too slow"):
        reports.apply([record.event for record in routing.broker.list_events()])
