"""Late, repeated and excess execution reports are booked once."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import (
    Accepted,
    Canceled,
    CancelRejected,
    Executed,
    Rejected,
    Triggered,
    UnfilledCanceled,
)
from app.events.queries import iterate_events
from app.orders.rules.values import Status

pytestmark = pytest.mark.any_database

RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def report_execution(harness, order, quantity="10", name="X1"):
    size = Decimal(quantity)
    return Executed(order.id, name, size, Decimal(90), size * 90, harness.now)


def read_position(harness):
    return harness.query("SELECT quantity FROM positions")


def list_notes(harness):
    return [row[0] for row in harness.query("SELECT note FROM executions ORDER BY trade_id")]


def list_issues(harness):
    with harness.engine.connect() as connection:
        return list(iterate_events(connection, ["reconciliation.issue"]))


def test_fill_that_crossed_a_cancel_completes_the_order(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    harness.cancel(order)
    late = harness.report_broker_event(order, report_execution(harness, order))
    assert (late.status, late.filled_quantity) == (Status.FILLED, 10)
    assert (list_notes(harness), list_issues(harness)) == (["late"], [])


def test_partial_fill_that_crossed_a_cancel_is_booked_and_order_stays_canceled(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    harness.cancel(order)
    late = harness.report_broker_event(order, report_execution(harness, order, "4"))
    assert (late.status, late.filled_quantity, late.leaves_quantity) == (Status.CANCELED, 4, 0)
    assert [int(Decimal(str(row[0]))) for row in read_position(harness)] == [4]


def test_fill_after_a_replacement_is_applied_to_the_replacement(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    successor = harness.replace(order, quantity="12").orders[0].order
    again = harness.replace(successor, quantity="15").orders[0].order
    harness.report_broker_event(order, report_execution(harness, order, "4"))
    assert harness.get_order(order).filled_quantity == 0
    heir = harness.get_order(again)
    assert (heir.status, heir.filled_quantity, heir.leaves_quantity) == (Status.PARTIALLY_FILLED, 4, 11)


def test_fill_after_a_rejection_is_booked_and_raises_an_issue(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    rejected = harness.report_broker_event(order, Rejected(order.id, "No such account", harness.now))
    assert rejected.status is Status.REJECTED
    after = harness.report_broker_event(order, report_execution(harness, order, "4"))
    assert (after.status, after.filled_quantity) == (Status.REJECTED, 4)
    assert (list_notes(harness), len(list_issues(harness))) == (["stray"], 1)


def test_overfill_is_booked_and_raises_an_issue(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    over = harness.report_broker_event(order, report_execution(harness, order, "11"))
    assert (over.status, over.filled_quantity, over.leaves_quantity) == (Status.FILLED, 11, 0)
    assert (list_notes(harness), len(list_issues(harness))) == (["over"], 1)


def test_repeated_execution_report_is_applied_once(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    harness.report_broker_event(order, report_execution(harness, order, "4"))
    twice = harness.report_broker_event(order, report_execution(harness, order, "4"))
    assert twice.filled_quantity == 4
    assert len(harness.query("SELECT trade_id FROM trades")) == 1


def list_pending_executions(harness, status):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    with harness.engine.begin() as connection:
        connection.execute(text("UPDATE orders SET status = :status"), {"status": status})
    harness.restart()
    return harness.get_order(order)


@pytest.mark.parametrize("status", ["PENDING_CANCEL", "PENDING_REPLACE"])
def test_partial_fill_during_a_pending_request_keeps_the_status(harness, status):
    order = list_pending_executions(harness, status)
    after = harness.report_broker_event(order, report_execution(harness, order, "4"))
    assert (after.status, after.filled_quantity) == (status, 4)
    refused = harness.report_broker_event(order, CancelRejected(order.id, "Too late", harness.now))
    assert refused.status is Status.PARTIALLY_FILLED


@pytest.mark.parametrize("status", ["PENDING_CANCEL", "PENDING_REPLACE"])
def test_completing_fill_overrides_a_pending_request(harness, status):
    order = list_pending_executions(harness, status)
    assert harness.report_broker_event(order, report_execution(harness, order)).status is Status.FILLED
    refused = harness.report_broker_event(order, CancelRejected(order.id, "Too late", harness.now))
    assert refused.status is Status.FILLED


def test_rejected_cancel_of_an_unfilled_order_returns_it_to_accepted(harness):
    order = list_pending_executions(harness, "PENDING_CANCEL")
    assert (
        harness.report_broker_event(order, CancelRejected(order.id, "Busy", harness.now)).status
        is Status.ACCEPTED
    )


def test_execution_reports_change_the_order_status(harness):
    stop = harness.place_order(type="STOP", stop_price="120", time_in_force="GTC")
    assert harness.report_broker_event(stop, Triggered(stop.id, harness.now)).status is Status.TRIGGERED
    assert (
        harness.report_broker_event(stop, UnfilledCanceled(stop.id, "Nothing there", harness.now)).status
        is Status.CANCELED
    )
    limit = harness.place_order(**RESTING_LIMIT_ORDER)
    assert harness.report_broker_event(limit, Canceled(limit.id, harness.now)).status is Status.CANCELED


def test_execution_report_without_a_transition_is_only_recorded(harness):
    order = harness.place_order()
    before = harness.get_order(order)
    harness.report_broker_event(
        order, Accepted(order.id, harness.now)
    )  # reported again: the OMS has it already
    harness.report_broker_event(order, Canceled(order.id, harness.now))
    after = harness.get_order(order)
    assert (after.status, after.event_count) == (Status.FILLED, before.event_count + 1)
    (broker_words,) = harness.query("SELECT broker_words FROM order_events WHERE reason = 'not applied'")[0]
    assert broker_words.startswith("Canceled: ")
