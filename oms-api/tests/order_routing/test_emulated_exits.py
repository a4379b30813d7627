"""Brackets and pairs at a broker that links no orders: one exit rests there at a time."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Busted, Replaced
from app.database import unit_of_work
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Status, StopLoss, TakeProfit
from app.orders.service.commands import DecideApproval
from tests.order_routing.position_exits import set_exits
from tests.order_routing.scripted_broker import (
    DOWN,
    KILLED_AFTER,
    KILLED_BEFORE,
    LIMIT,
    LOST,
    UNANSWERED,
    set_outage,
)
from tests.orders.writer_harness import build_ticket

pytestmark = pytest.mark.any_database
EXITS = {"take_profit": TakeProfit(Decimal(120)), "stop_loss": StopLoss(Decimal(80))}


@pytest.fixture
def bracket_entry(routing):
    """Place a bracket whose entry the broker works."""
    return routing.place_working_order(**EXITS)


def list_exits(routing):
    """Return (type, status, open quantity) of the exits that have not ended, oldest first."""
    rows = routing.harness.query(
        "SELECT id FROM orders WHERE role IN ('take_profit', 'stop_loss') ORDER BY id"
    )
    ids = [row[0] for row in rows]
    orders = [routing.harness.get_order(routing.entry._replace(id=order_id)) for order_id in ids]
    return [order for order in orders if order.status not in FINAL_STATUSES]


def describe_orders(orders):
    return sorted((order.type.value, order.status.value, int(order.leaves_quantity)) for order in orders)


def fill_order(routing, order, quantity, price="90"):
    routing.broker.fill(order, quantity, price)
    routing.run_session()


def check_protection(routing, quantity):
    """Check that the working orders at the broker close the position, and no more."""
    resting = [order for order in routing.broker.open_orders() if order.side == "SELL"]
    assert sum(order.leaves for order in resting) == quantity


@pytest.fixture
def protected_entry(routing, bracket_entry):
    """Fill the entry completely, so that the stop works at the broker and the target is HELD."""
    routing.entry = bracket_entry
    fill_order(routing, bracket_entry, "10")
    return sorted(list_exits(routing), key=lambda order: order.type)


def test_fill_sends_the_stop_and_holds_the_target(routing, protected_entry):
    assert describe_orders(protected_entry) == [("LIMIT", "HELD", 10), ("STOP", "ACCEPTED", 10)]
    check_protection(routing, 10)


def test_each_fill_of_the_entry_is_protected(routing, bracket_entry):
    routing.entry = bracket_entry
    for filled, quantity in ((4, "4"), (7, "3"), (10, "3")):
        fill_order(routing, bracket_entry, quantity)
        check_protection(routing, filled)
    assert (
        sum(order.leaves_quantity for order in list_exits(routing) if order.status in WORKING_STATUSES) == 10
    )


def test_exit_whose_replacement_was_denied_is_used(routing):
    """The person replaced the target while the order waited for the connection, and risk denied it."""
    set_outage(routing, "down")
    routing.entry = routing.place_order(**EXITS)
    target = next(order for order in list_exits(routing) if order.limit_price)
    routing.harness.replace(target, limit_price="85")
    assert routing.harness.query("SELECT role FROM orders WHERE status = 'DENIED'") == [("take_profit",)]
    set_outage(routing, "connected")
    routing.harness.release_orders()
    routing.run_session()
    fill_order(routing, routing.entry, "4")
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 4), ("STOP", "ACCEPTED", 4)]
    fill_order(routing, routing.entry, "6")
    assert sum(order.leaves_quantity for order in list_exits(routing) if order.limit_price) == 10
    check_protection(routing, 10)


def test_late_fill_of_a_canceled_entry_is_protected(routing, bracket_entry):
    routing.entry = bracket_entry
    late = routing.broker.fill(bracket_entry, "4")
    routing.broker._events.remove(late)
    routing.harness.cancel(bracket_entry)
    routing.run_session()
    assert list_exits(routing) == []
    routing.broker.report(late)
    routing.run_session()
    check_protection(routing, 4)


def test_entry_that_ends_after_a_part_keeps_its_exits(routing, bracket_entry):
    routing.entry = bracket_entry
    fill_order(routing, bracket_entry, "4")
    routing.harness.cancel(bracket_entry)
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 4), ("STOP", "ACCEPTED", 4)]


def test_stop_that_fills_ends_the_target(routing, protected_entry):
    target, stop = protected_entry
    fill_order(routing, stop, "4", "80")
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 6), ("STOP", "PARTIALLY_FILLED", 6)]
    fill_order(routing, stop, "6", "80")
    assert routing.harness.get_order(target).status is Status.CANCELED
    check_protection(routing, 0)


FAULTS = [None, DOWN, LOST, UNANSWERED, KILLED_BEFORE, KILLED_AFTER]


@pytest.mark.parametrize("call", ["cancel", "submit"])
@pytest.mark.parametrize("fault", FAULTS)
def test_target_replaces_the_stop_once(routing, protected_entry, call, fault):
    target, stop = protected_entry
    routing.broker.received.clear()
    routing.harness.publish_quote("119", "121", "119")
    routing.run_session()
    assert routing.broker.received == []  # the target is not reached
    routing.broker.faults[call] = [fault] if fault else []
    routing.harness.publish_quote("120", "121", "120")
    run_until_known(routing, fault)
    sent = [name for name, order_id in routing.broker.received if order_id == target.id]
    assert len(sent) <= 1
    assert routing.harness.get_order(stop).status is Status.CANCELED
    was_lost = call == "submit" and fault in (LOST, KILLED_BEFORE)
    assert routing.harness.get_order(target).status is (Status.REJECTED if was_lost else Status.ACCEPTED)
    assert describe_orders(list_exits(routing)) == [("STOP" if was_lost else "LIMIT", "ACCEPTED", 10)]


def run_until_known(routing, fault):
    """Let the outcome of a fault become known; the exits never exceed the position meanwhile."""
    for _ in range(70 if fault in (LOST, KILLED_BEFORE) else 10):
        routing.run_session(1)
        resting = [order for order in routing.broker.open_orders() if order.side == "SELL"]
        assert sum(order.leaves for order in resting) <= 10


@pytest.mark.parametrize("fault", FAULTS)
def test_new_exits_wait_until_the_current_ones_have_ended(routing, protected_entry, fault):
    routing.broker.faults["cancel"] = [fault] if fault else []
    set_exits(routing, 130, 70)
    run_until_known(routing, fault)
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 10), ("STOP", "ACCEPTED", 10)]
    assert {order.stop_price for order in routing.broker.open_orders()} == {70}


@pytest.mark.parametrize("kill", ["before", "after"])
def test_swap_continues_after_a_kill(routing, protected_entry, kill):
    target, _ = protected_entry
    routing.harness.publish_quote("120", "121", "120")
    routing.kills = [kill]
    routing.run_session(5)
    assert routing.harness.get_order(target).status is Status.ACCEPTED
    check_protection(routing, 10)


def test_stop_that_fills_while_it_is_canceled_leaves_nothing_to_the_target(routing, protected_entry):
    target, stop = protected_entry
    routing.harness.publish_quote("120", "121", "120")
    routing.broker.fill(stop, "10", "80")
    routing.run_session(3)
    assert routing.harness.get_order(target).status is Status.CANCELED
    check_protection(routing, 0)


def test_stop_returns_when_the_market_leaves_the_target(routing, protected_entry):
    routing.harness.publish_quote("120", "121", "120")
    routing.run_session()
    target = protected_entry[0]
    fill_order(routing, target, "3", "120")
    routing.harness.publish_quote("110", "111", "110")
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 7), ("STOP", "ACCEPTED", 7)]
    check_protection(routing, 7)
    routing.harness.publish_quote("121", "122", "121")
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "ACCEPTED", 7)]


def test_sale_of_a_part_cuts_the_exits(routing, protected_entry):
    sale = routing.place_working_order(side="SELL", quantity="4", limit_price="95")
    fill_order(routing, sale, "4", "95")
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 6), ("STOP", "ACCEPTED", 6)]
    check_protection(routing, 6)
    sale = routing.place_working_order(side="SELL", quantity="6", limit_price="95")
    fill_order(routing, sale, "6", "95")
    routing.run_session()
    assert list_exits(routing) == []
    check_protection(routing, 0)


def test_pair_does_not_return_to_a_position_that_was_closed_meanwhile(routing, protected_entry):
    sale = routing.place_working_order(side="SELL", quantity="10", limit_price="150")
    routing.harness.publish_quote("120", "121", "120")
    routing.run_session()
    routing.broker.faults["cancel"] = [LOST]
    routing.harness.publish_quote(
        "110", "111", "110"
    )  # the target is withdrawn, but the OMS does not know it yet
    routing.run_session(1)
    fill_order(routing, sale, "10", "150")
    run_until_known(routing, LOST)
    assert list_exits(routing) == []
    check_protection(routing, 0)


def test_exits_that_are_cut_while_one_fills_are_sent_again(routing, protected_entry):
    sale = routing.place_working_order(side="SELL", quantity="4", limit_price="95")
    routing.broker.faults["cancel"] = [LOST]
    routing.broker.fill(sale, "4", "95")
    routing.run_session(1)
    fill_order(routing, protected_entry[1], "2", "80")  # before the broker gets the cancel
    run_until_known(routing, LOST)
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 4), ("STOP", "ACCEPTED", 4)]
    check_protection(routing, 4)


def bust_fill(routing, fill):
    routing.broker.report(Busted(fill.order_id, fill.execution_id, "busted", routing.harness.now))
    routing.run_session(3)


def count_protection(routing):
    return sum(order.leaves_quantity for order in list_exits(routing) if order.status in WORKING_STATUSES)


def test_bust_of_a_sale_protects_the_position_again(routing, protected_entry):
    sale = routing.place_working_order(side="SELL", quantity="4", limit_price="95")
    sold = routing.broker.fill(sale, "4", "95")
    routing.run_session(3)
    assert count_protection(routing) == 6
    bust_fill(routing, sold)
    check_protection(routing, 10)
    assert count_protection(routing) == 10


def test_bust_of_a_stop_protects_the_position_again(routing, protected_entry):
    stopped = routing.broker.fill(protected_entry[1], "10", "80")
    routing.run_session(3)
    assert list_exits(routing) == []
    bust_fill(routing, stopped)
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 10), ("STOP", "ACCEPTED", 10)]


def test_person_who_cancels_the_stop_leaves_the_target(routing, protected_entry):
    target, stop = protected_entry
    routing.harness.cancel(stop)
    routing.run_session()
    assert routing.harness.get_order(target).status is Status.ACCEPTED


@pytest.mark.parametrize("fault", FAULTS)
def test_stop_is_replaced(routing, protected_entry, fault):
    _, stop = protected_entry
    routing.broker.faults["replace"] = [fault] if fault else []
    routing.harness.replace(stop, stop_price="85")
    run_until_known(routing, fault)
    [current] = [order for order in list_exits(routing) if order.status in WORKING_STATUSES]
    assert (current.stop_price, current.role) in {(85, stop.role), (80, stop.role)}
    check_protection(routing, 10)
    routing.harness.publish_quote("120", "121", "120")
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "ACCEPTED", 10)]


def test_stop_that_is_cut_while_its_replacement_is_unknown_has_the_new_price(routing, protected_entry):
    _, stop = protected_entry
    sale = routing.place_working_order(side="SELL", quantity="4", limit_price="95")
    routing.broker.faults["replace"] = [KILLED_AFTER]
    routing.harness.replace(stop, stop_price="85")
    routing.run_session(1)
    [replaced] = [event for event in routing.broker._events if isinstance(event, Replaced)]
    routing.broker._events.remove(replaced)  # it was lost with the process
    routing.broker.fill(sale, "4", "95")
    run_until_known(routing, KILLED_AFTER)
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 6), ("STOP", "ACCEPTED", 6)]
    [working] = [order for order in list_exits(routing) if order.status in WORKING_STATUSES]
    assert working.stop_price == 85
    check_protection(routing, 6)


def test_pair_of_a_limit_and_a_stop_rests_one_at_a_time(routing):
    stop = {"type": "STOP", "stop_price": "110", "time_in_force": "GTC"}
    limit, stop = routing.harness.place_pair("OCO", build_ticket(**LIMIT), build_ticket(**stop))
    routing.run_session()
    assert routing.broker.received == [("submit", stop.id)]
    routing.harness.publish_quote("88", "89", "89")
    routing.run_session()
    assert (routing.harness.get_order(stop).status, routing.harness.get_order(limit).status) == (
        Status.CANCELED,
        Status.ACCEPTED,
    )
    assert routing.broker.received == [("submit", stop.id), ("cancel", stop.id), ("submit", limit.id)]


@pytest.mark.parametrize("bid", ["88", "99"])
def test_approved_pair_rests_one_at_a_time(routing, bid):
    with unit_of_work(routing.harness.engine) as connection:
        connection.execute(
            text("""UPDATE portfolios SET approval = '{"mode":"always","max_move_percent":"50"}'""")
        )
    stop = {"type": "STOP", "stop_price": "110", "time_in_force": "GTC"}
    limit, stop = routing.harness.place_pair("OCO", build_ticket(**LIMIT), build_ticket(**stop))
    routing.harness.publish_quote(bid, str(int(bid) + 1), bid)
    origin = routing.harness.build_origin()._replace(actor="slack:T1:U9")
    routing.harness.run(DecideApproval(origin, limit.id, True, "Because", None, "approver"))
    routing.run_session()
    assert routing.broker.received == [("submit", stop.id)]
    assert describe_orders([routing.harness.get_order(order) for order in (limit, stop)]) == [
        ("LIMIT", "HELD", 10),
        ("STOP", "ACCEPTED", 10),
    ]
    routing.harness.publish_quote("88", "89", "89")
    routing.run_session()
    assert routing.harness.get_order(limit).status is Status.ACCEPTED
    assert describe_orders([routing.harness.get_order(stop)]) == [("STOP", "CANCELED", 0)]


def test_exit_that_the_broker_cannot_execute_denies_the_entry(routing):
    routing.harness.publish_quote("99", "101", "100", symbol="BTC/USD")
    denied = routing.place_order(symbol="BTC/USD", **EXITS)
    assert denied.status is Status.DENIED
    assert "BROKER_GROUPS" in (denied.denial or "")
    assert routing.list_open_requests() == []


def test_exit_that_ended_with_the_day_is_sent_again_with_the_next_quote(routing):
    routing.harness.publish_quote("99", "101", "100")
    entry = routing.place_working_order(quantity="1.5", time_in_force="DAY", **EXITS)
    routing.entry = entry
    fill_order(routing, entry, "1.5")
    [stop] = [order for order in routing.broker.open_orders() if order.side == "SELL"]
    assert stop.time_in_force == "DAY"  # Alpaca takes fractions for a day only
    routing.harness.advance_clock(hours=12)
    routing.broker.cancel(stop.id, routing.harness.now)
    routing.run_session()
    assert {order.status for order in list_exits(routing)} == {Status.HELD}
    routing.harness.publish_quote("99", "101", "100")
    routing.run_session()
    assert describe_orders(list_exits(routing)) == [("LIMIT", "HELD", 1), ("STOP", "ACCEPTED", 1)]
