"""Orders are committed before they are sent, sent once, and known again after every fault."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from app.brokers.rules.values import Accepted, Busted, Canceled, Executed, Expired
from app.ledger.errors import FilledAtBroker
from app.ledger.service.commands import ReverseTrade
from app.order_routing.service.request_loading import _build_broker_order
from app.orders.rules.values import Status
from tests.order_routing.scripted_broker import (
    DOWN,
    GARBLED,
    KILLED_AFTER,
    KILLED_BEFORE,
    LOST,
    UNANSWERED,
)

pytestmark = pytest.mark.any_database


def test_order_is_committed_first_and_sent_with_our_id(routing):
    order = routing.place_order()
    assert (order.status, order.broker) == (Status.SUBMITTED, "alpaca")
    assert routing.broker.received == []
    assert routing.list_open_requests() == [("submit", "new")]
    routing.run_session()
    assert routing.broker.received == [("submit", order.id)]
    assert routing.harness.get_order(order).status is Status.ACCEPTED
    assert routing.list_open_requests() == []


def test_quotes_do_not_match_an_order_at_a_broker(routing):
    order = routing.place_working_order()
    routing.harness.publish_quote("79", "81", "80")
    assert routing.harness.get_order(order).status is Status.ACCEPTED


def test_fills_are_booked_once_as_trades(routing):
    order = routing.place_working_order()
    first = routing.broker.fill(order, "4")
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.PARTIALLY_FILLED
    routing.broker.report(first, first)  # reported again
    second = routing.broker.fill(order, "6", "89")
    routing.run_session()
    filled = routing.harness.get_order(order)
    assert (filled.status, filled.filled_quantity, filled.filled_value) == (
        Status.FILLED,
        10,
        4 * 90 + 6 * 89,
    )
    assert sorted(execution[0] for execution in routing.list_executions()) == sorted(
        [first.execution_id, second.execution_id]
    )
    assert len(routing.harness.query("SELECT 1 FROM trades")) == 2


def test_fill_of_the_broker_is_busted_and_never_reversed(routing):
    order = routing.place_working_order()
    routing.broker.fill(order, "10")
    routing.run_session()
    [(trade_id,)] = routing.harness.query("SELECT trade_id FROM trades")
    [outcome] = routing.harness.run(ReverseTrade(routing.harness.build_origin(), trade_id, "Mistaken"))
    assert isinstance(outcome, FilledAtBroker)
    assert f"POST /orders/{order.id}/bust" in outcome.detail
    assert len(routing.harness.query("SELECT trade_id FROM trades")) == 1


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, UNANSWERED, LOST, DOWN])
def test_order_is_received_once_despite_failures_during_sending(routing, fault):
    order = routing.place_order()
    routing.broker.faults["submit"] = [fault]
    routing.run_session(20)
    was_received = fault in (KILLED_AFTER, UNANSWERED, DOWN)  # after DOWN it is certain that nothing was sent
    assert routing.broker.received == ([("submit", order.id)] if was_received else [])
    assert routing.harness.get_order(order).status is (Status.ACCEPTED if was_received else Status.SUBMITTED)
    routing.run_session(60)
    assert routing.broker.received == ([("submit", order.id)] if was_received else [])
    assert routing.harness.get_order(order).status is (Status.ACCEPTED if was_received else Status.REJECTED)
    assert routing.list_open_requests() == []


@pytest.mark.parametrize("kill", ["before", "after"])
def test_answer_is_applied_once_despite_kills(routing, kill):
    routing.broker.apply_quote(routing.harness.build_quote("AAPL", "79", "81", "80"), routing.harness.now)
    order = routing.place_order()
    routing.kills = [kill]
    routing.run_session(10)
    assert routing.broker.received == [("submit", order.id)]
    filled = routing.harness.get_order(order)
    assert (filled.status, filled.filled_quantity) == (Status.FILLED, 10)
    assert len(routing.list_executions()) == 1
    assert routing.list_open_requests() == []


@pytest.mark.parametrize("kill", ["before", "after"])
def test_events_are_applied_once_despite_kills(routing, kill):
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "4")
    routing.kills = [kill]
    routing.run_session(5)
    assert [execution[0] for execution in routing.list_executions()] == [fill.execution_id]
    assert routing.harness.get_order(order).filled_quantity == 4


@pytest.mark.parametrize("fault", [LOST, GARBLED])
def test_unknown_order_is_queried_while_the_broker_reports_nothing(routing, fault):
    order = routing.place_order()
    routing.broker.is_silent = True
    routing.broker.faults["submit"] = [UNANSWERED]
    routing.run_session(1)
    routing.broker.faults["find"] = [fault, fault]
    assert routing.list_open_requests() == [("submit", "unknown")]
    routing.run_session(20)
    assert routing.harness.get_order(order).status is Status.ACCEPTED
    assert routing.broker.received == [("submit", order.id)]


def test_order_that_arrives_after_it_was_given_up_is_booked_with_an_issue(routing):
    order = routing.place_order()
    routing.broker.faults["submit"] = [LOST]
    routing.run_session(70)
    assert routing.harness.get_order(order).status is Status.REJECTED
    routing.broker.faults.clear()
    received = routing.harness.get_order(order)
    with routing.harness.engine.connect() as connection:
        with_id = _build_broker_order(connection, received)  # the request was only slow
    routing.broker.submit(with_id._replace(leaves=with_id.quantity), routing.harness.now)
    routing.broker.fill(order, "10")
    routing.run_session()
    assert len(routing.list_executions()) == 1
    assert [issue["kind"] for issue in routing.harness.list_events("reconciliation.issue")] == ["stray"]


def test_down_broker_is_shown_and_orders_are_refused_before_they_are_sent(routing):
    assert (routing.get_connection().status, routing.get_connection().account) == ("connected", "PA1")
    routing.broker.faults["events"] = [DOWN]
    routing.broker.faults["account"] = [DOWN] * 100
    routing.run_session(2)
    assert (routing.get_connection().status, routing.get_connection().connected_since) == ("down", None)
    denied = routing.place_order()
    assert denied.status is Status.DENIED
    assert "BROKER_NOT_CONNECTED" in (denied.denial or "")
    routing.broker.faults.clear()
    routing.run_session(3)
    assert routing.get_connection().status == "connected"
    assert routing.place_working_order().status is Status.ACCEPTED


def test_order_that_waited_for_a_broker_too_long_is_rejected(routing):
    order = routing.place_order()
    routing.broker.faults["events"], routing.broker.faults["account"] = [DOWN], [DOWN] * 100
    routing.run_session(65)
    assert routing.harness.get_order(order).status is Status.REJECTED
    assert routing.broker.received == []
    assert routing.list_open_requests() == []


def test_missed_fills_and_ends_are_read_at_the_next_connect(routing):
    filled, canceled = routing.place_working_order(), routing.place_working_order()
    routing.broker.is_silent = True
    routing.broker.fill(filled, "10")
    routing.broker.cancel(canceled.id, routing.harness.now)
    routing.restart()
    routing.run_session()
    assert routing.harness.get_order(filled).status is Status.FILLED
    assert routing.harness.get_order(canceled).status is Status.CANCELED
    routing.broker.is_silent = False
    routing.run_session()
    assert len(routing.list_executions()) == 1


def test_live_account_is_refused_by_a_paper_connection(routing):
    routing.broker.is_paper = False
    routing.restart()
    routing.run_session()
    assert (routing.get_connection().status, "live account" in (routing.get_connection().error or "")) == (
        "refused",
        True,
    )
    assert routing.place_order().status is Status.DENIED


def test_events_of_orders_that_are_not_ours_do_not_stop_the_others(routing):
    order = routing.place_working_order()
    routing.broker.report(Accepted("O17000000000000000ffffffff", routing.harness.now))
    routing.broker.fill(order, "10")
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.FILLED
    assert routing.get_connection().cursor == len(routing.broker.list_events())


def test_bust_of_the_broker_reverses_the_execution(routing):
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "10")
    routing.run_session()
    routing.broker.report(Busted(order.id, fill.execution_id, "Clearly erroneous", routing.harness.now))
    routing.run_session()
    assert routing.harness.get_order(order).filled_quantity == 0
    bust = Busted(order.id, "X9", "Never seen", routing.harness.now)
    routing.broker.report(bust, bust)
    routing.run_session()
    assert routing.harness.get_order(order).filled_quantity == 0


def test_expiry_is_the_brokers(routing):
    order = routing.place_working_order(time_in_force="DAY")
    routing.harness.advance_clock(days=2)
    routing.harness.expire_orders()
    assert routing.harness.get_order(order).status is Status.ACCEPTED
    routing.broker.report(Expired(order.id, routing.harness.now))
    routing.run_session()
    assert routing.harness.get_order(order).status is Status.EXPIRED


def test_late_fill_after_the_end_is_booked(routing):
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "4")
    routing.broker._events.remove(fill)
    routing.broker.report(Canceled(order.id, routing.harness.now), fill)  # out of order
    routing.run_session()
    ended = routing.harness.get_order(order)
    assert (ended.status, ended.filled_quantity) == (Status.CANCELED, 4)


@pytest.mark.parametrize(("ahead", "is_theirs"), [(-30, True), (50, True), (120, False)])
def test_trade_has_the_execution_time_and_the_booking_time(routing, ahead, is_theirs):
    order = routing.place_working_order()
    executed_at = routing.harness.now + timedelta(seconds=ahead)
    routing.broker.report(Executed(order.id, "X1", Decimal(4), Decimal(90), Decimal(360), executed_at))
    routing.run_session(1)
    [(trade_at, execution_at, booked_at)] = routing.harness.query(
        "SELECT trades.executed_at, executions.executed_at, trades.created_at "
        "FROM trades JOIN executions ON trades.trade_id = executions.trade_id"
    )
    times = [datetime.fromisoformat(str(at)) for at in (trade_at, execution_at, booked_at)]
    expected = executed_at if is_theirs else routing.harness.now
    assert times == [expected, expected, routing.harness.now]
