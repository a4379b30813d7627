"""Late, repeated and excess execution reports are booked once."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Accepted, Canceled, Executed, Lapsed, Refused, Rejected, Triggered
from app.events.queries import iterate_events
from app.orders.rules.values import Status

pytestmark = pytest.mark.any_database

WAITING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


def execution(rig, order, quantity="10", name="X1"):
    size = Decimal(quantity)
    return Executed(order.id, name, size, Decimal(90), size * 90, rig.now)


def held(rig):
    return rig.rows("SELECT quantity FROM positions")


def notes(rig):
    return [row[0] for row in rig.rows("SELECT note FROM executions ORDER BY trade_id")]


def issues(rig):
    with rig.engine.connect() as connection:
        return list(iterate_events(connection, ["reconciliation.issue"]))


def test_fill_that_crossed_a_cancel_completes_the_order(rig):
    order = rig.place(**WAITING)
    rig.cancel(order)
    late = rig.report(order, execution(rig, order))
    assert (late.status, late.filled_quantity) == (Status.FILLED, 10)
    assert (notes(rig), issues(rig)) == (["late"], [])


def test_partial_fill_that_crossed_a_cancel_is_booked_and_order_stays_cancelled(rig):
    order = rig.place(**WAITING)
    rig.cancel(order)
    late = rig.report(order, execution(rig, order, "4"))
    assert (late.status, late.filled_quantity, late.leaves_quantity) == (Status.CANCELED, 4, 0)
    assert [int(Decimal(str(row[0]))) for row in held(rig)] == [4]


def test_fill_after_a_replacement_is_applied_to_the_replacement(rig):
    order = rig.place(**WAITING)
    successor = rig.replace(order, quantity="12").orders[0].order
    again = rig.replace(successor, quantity="15").orders[0].order
    rig.report(order, execution(rig, order, "4"))
    assert rig.order(order).filled_quantity == 0
    heir = rig.order(again)
    assert (heir.status, heir.filled_quantity, heir.leaves_quantity) == (Status.PARTIALLY_FILLED, 4, 11)


def test_fill_after_a_rejection_is_booked_and_raises_an_issue(rig):
    order = rig.place(**WAITING)
    rejected = rig.report(order, Rejected(order.id, "No such account", rig.now))
    assert rejected.status is Status.REJECTED
    after = rig.report(order, execution(rig, order, "4"))
    assert (after.status, after.filled_quantity) == (Status.REJECTED, 4)
    assert (notes(rig), len(issues(rig))) == (["stray"], 1)


def test_overfill_is_booked_and_raises_an_issue(rig):
    order = rig.place(**WAITING)
    over = rig.report(order, execution(rig, order, "11"))
    assert (over.status, over.filled_quantity, over.leaves_quantity) == (Status.FILLED, 11, 0)
    assert (notes(rig), len(issues(rig))) == (["over"], 1)


def test_repeated_execution_report_is_applied_once(rig):
    order = rig.place(**WAITING)
    rig.report(order, execution(rig, order, "4"))
    twice = rig.report(order, execution(rig, order, "4"))
    assert twice.filled_quantity == 4
    assert len(rig.rows("SELECT trade_id FROM trades")) == 1


def pending(rig, status):
    order = rig.place(**WAITING)
    with rig.engine.begin() as connection:
        connection.execute(text("UPDATE orders SET status = :status"), {"status": status})
    rig.restart()
    return rig.order(order)


@pytest.mark.parametrize("status", ["PENDING_CANCEL", "PENDING_REPLACE"])
def test_partial_fill_during_a_pending_request_keeps_the_status(rig, status):
    order = pending(rig, status)
    after = rig.report(order, execution(rig, order, "4"))
    assert (after.status, after.filled_quantity) == (status, 4)
    refused = rig.report(order, Refused(order.id, "Too late", rig.now))
    assert refused.status is Status.PARTIALLY_FILLED


@pytest.mark.parametrize("status", ["PENDING_CANCEL", "PENDING_REPLACE"])
def test_completing_fill_overrides_a_pending_request(rig, status):
    order = pending(rig, status)
    assert rig.report(order, execution(rig, order)).status is Status.FILLED
    refused = rig.report(order, Refused(order.id, "Too late", rig.now))
    assert refused.status is Status.FILLED


def test_rejected_cancel_of_an_unfilled_order_returns_it_to_accepted(rig):
    order = pending(rig, "PENDING_CANCEL")
    assert rig.report(order, Refused(order.id, "Busy", rig.now)).status is Status.ACCEPTED


def test_execution_reports_change_the_order_status(rig):
    stop = rig.place(type="STOP", stop_price="120", time_in_force="GTC")
    assert rig.report(stop, Triggered(stop.id, rig.now)).status is Status.TRIGGERED
    assert rig.report(stop, Lapsed(stop.id, "Nothing there", rig.now)).status is Status.CANCELED
    limit = rig.place(**WAITING)
    assert rig.report(limit, Canceled(limit.id, rig.now)).status is Status.CANCELED


def test_execution_report_without_a_transition_is_only_recorded(rig):
    order = rig.place()
    before = rig.order(order)
    rig.report(order, Accepted(order.id, rig.now))  # told again: it is known
    rig.report(order, Canceled(order.id, rig.now))
    after = rig.order(order)
    assert (after.status, after.event_count) == (Status.FILLED, before.event_count + 1)
    (words,) = rig.rows("SELECT broker_words FROM order_events WHERE reason = 'not applied'")[0]
    assert words.startswith("Canceled: ")
