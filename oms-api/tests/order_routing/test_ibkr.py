"""The OMS and the stand-in of TWS agree, whatever fails between them."""

import random
import time
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text

from app.brokers.ibkr.broker import IbkrBroker
from app.brokers.ibkr.gateway import GatewayAddress, GatewayTimeouts
from app.brokers.rules.values import Accepted, Canceled, Executed
from app.database import unit_of_work
from app.order_routing.service.replacement_chains import load_chains
from app.orders.queries.orders import load_orders_by_id
from app.orders.rules.values import FINAL_STATUSES, OrderKey, Status, StopLoss, TakeProfit
from app.orders.service.commands import DecideApproval
from app.orders.service.internal_commands import ApplyBrokerReport
from app.timestamps import format_timestamp
from app.verify import verify_database
from tests.brokers.standins.ibkr.faults import CANCEL_ORDER, PLACE_ORDER
from tests.brokers.standins.ibkr.server import LOOPBACK, StandIn
from tests.order_routing.position_exits import list_open_exits, set_exits
from tests.order_routing.scripted_broker import NAME, RoutingHarness
from tests.orders.writer_harness import WriterHarness, build_ticket
from tests.support.conditions import wait_until

pytestmark = pytest.mark.any_database
WAIT_SECONDS = 300.0  # enough for an outcome that stays unknown for a minute
FAULTS = ("cut_before", "cut_after", "drop", "mute")


@dataclass
class IbkrRouting(RoutingHarness):
    """The session of the process, and a function that connects another one."""

    create: Any = None
    broker_name: str = "ibkr"


@pytest.fixture
def tws():
    with StandIn() as running:
        running.quote("AAPL", "99", "101")
        yield running


@pytest.fixture
def routing(engine, tws, monkeypatch, request):
    seconds = 1.0 if request.node.get_closest_marker("long") is None else 5.0  # to list a thousand orders
    for name in ("_FIRST_WAIT_SECONDS", "HEARTBEAT_SECONDS"):
        monkeypatch.setattr(f"app.brokers.ibkr.gateway.{name}", 0.1)
    harness, brokers = WriterHarness(engine), []
    harness.publish_quote("99", "101", "100")

    def create():
        chains = partial(load_chains, engine, harness.tenant, NAME)
        address, timeouts = GatewayAddress(LOOPBACK, tws.port, 7), GatewayTimeouts(10.0, seconds)
        brokers.append(IbkrBroker(address, timeouts=timeouts, load_chains=chains))
        return brokers[-1]

    routing = IbkrRouting(harness, create(), create=create)
    run_until(routing, lambda: is_connected(routing))
    yield routing
    for broker in brokers:
        broker.close()


def run_until(routing, condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        routing.run_session(1)
        time.sleep(0.01)


def is_connected(routing):
    return routing.get_connection().status == "connected"


def find_status(routing, order):
    return routing.harness.get_order(order).status


def restart_process(routing):
    """Let the process die, and another one go on."""
    routing.broker.close()
    routing.broker = routing.create()
    routing.restart()


def test_order_that_was_replaced_and_killed_is_found_under_its_successor(routing, tws):
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    routing.harness.replace(order, limit_price=96)
    tws.faults.add("mute")
    routing.run_session(1)
    tws.faults.clear()
    restart_process(routing)
    run_until(routing, lambda: find_status(routing, order) is Status.REPLACED)
    successor_id = routing.harness.get_order(order).replaced_by
    tws.quote("AAPL", "94", "95.5")
    run_until(routing, lambda: len(routing.list_executions()) == 1)
    rows = routing.harness.query("SELECT order_id FROM executions")
    assert [row[0] for row in rows] == [successor_id]
    assert len(tws.exchange.orders) == 1


def list_exits(routing):
    """Return the exits by their role, with their status and open quantity."""
    rows = routing.harness.query("SELECT id FROM orders WHERE parent_id IS NOT NULL ORDER BY id")
    with routing.harness.engine.connect() as connection:
        orders = load_orders_by_id(connection, [OrderKey(routing.harness.tenant, row[0]) for row in rows])
    return {order.role: order for order in orders}


@pytest.fixture
def protected_entry(routing, tws):
    """Fill a bracket's entry at TWS, so that both exits work there."""
    order = routing.place_order(limit_price="95", **BRACKET)
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    tws.quote("AAPL", "94", "95")
    run_until(routing, lambda: {leg.status for leg in list_exits(routing).values()} == {Status.ACCEPTED})
    return list_exits(routing)


BRACKET = {"take_profit": TakeProfit(Decimal(120)), "stop_loss": StopLoss(Decimal(80))}
WAITING = {"take_profit": ("HELD", 10), "stop_loss": ("HELD", 10)}
WORKING = {"take_profit": ("ACCEPTED", 10), "stop_loss": ("ACCEPTED", 10)}


@pytest.fixture
def bracket_entry(routing):
    """Place a bracket whose entry rests at TWS."""
    order = routing.place_order(limit_price="95", **BRACKET)
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    return order


def describe_orders(routing):
    exits = list_exits(routing)
    return {role.value: (order.status.value, int(order.leaves_quantity)) for role, order in exits.items()}


def list_open_sales(tws):
    """Return (type, status, open quantity) of the sales that are open at TWS."""
    sales = [order for order in tws.exchange.orders if order.sign < 0 and order.is_open]
    return sorted((sale.kind, sale.status, int(sale.remaining)) for sale in sales)


def fill_part(routing, tws, entry):
    tws.call(lambda: tws.exchange.fill(tws.exchange.find_by_ref(entry.id), "4", "95"))
    run_until(routing, lambda: find_status(routing, entry) is Status.PARTIALLY_FILLED)


def test_exits_wait_at_tws_until_the_entry_has_filled(routing, tws, bracket_entry):
    assert describe_orders(routing) == WAITING
    assert list_open_sales(tws) == [("LMT", "PreSubmitted", 10), ("STP", "PreSubmitted", 10)]
    fill_part(routing, tws, bracket_entry)
    tws.cut()
    run_until(routing, lambda: is_connected(routing))
    routing.run_session(3)
    assert describe_orders(routing) == WAITING
    tws.quote("AAPL", "94", "95")
    run_until(routing, lambda: describe_orders(routing) == WORKING)


@pytest.mark.parametrize("after", [None, ("120", "121"), ("80", "81")])
def test_exits_exist_while_the_oms_is_down(routing, tws, bracket_entry, after):
    routing.broker.close()  # the process ends; nothing reads the fill of the entry
    tws.quote("AAPL", "94", "95")
    assert list_open_sales(tws) == [("LMT", "Submitted", 10), ("STP", "PreSubmitted", 10)]
    if after:
        tws.quote("AAPL", *after)
        assert list_open_sales(tws) == []
    restart_process(routing)
    run_until(routing, lambda: find_status(routing, bracket_entry) is Status.FILLED)
    if after:
        run_until(
            routing, lambda: all(order.status in FINAL_STATUSES for order in list_exits(routing).values())
        )
        assert len(routing.list_executions()) == 2
    else:
        run_until(routing, lambda: describe_orders(routing) == WORKING)
    assert len(tws.exchange.orders) == 3


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_outcome_of_a_bracket_becomes_known(routing, tws, fault, skipped):
    tws.faults.add(fault, skipped=skipped)
    order = routing.place_order(limit_price="95", **BRACKET)
    routing.run_session(3)
    routing.harness.advance_clock(seconds=61)
    run_until(routing, lambda: find_status(routing, order) in {Status.ACCEPTED, Status.REJECTED})
    if find_status(routing, order) is Status.REJECTED:
        assert list_open_sales(tws) == []
        assert all(leg.status in FINAL_STATUSES for leg in list_exits(routing).values())
        return
    assert describe_orders(routing) == WAITING
    tws.quote("AAPL", "94", "95")
    run_until(routing, lambda: describe_orders(routing) == WORKING)


def test_cancel_of_the_entry_ends_the_bracket(routing, tws, bracket_entry):
    routing.harness.cancel(bracket_entry)
    run_until(routing, lambda: find_status(routing, bracket_entry) is Status.CANCELED)
    run_until(routing, lambda: all(order.status in FINAL_STATUSES for order in list_exits(routing).values()))
    assert list_open_sales(tws) == []


@pytest.mark.parametrize("is_kept", [False, True])
def test_entry_that_ends_after_a_part_is_protected_for_that_part(routing, tws, bracket_entry, is_kept):
    tws.exchange.keeps_children = is_kept
    fill_part(routing, tws, bracket_entry)
    routing.harness.cancel(bracket_entry)
    run_until(routing, lambda: set(describe_orders(routing).values()) == {("ACCEPTED", 4)})
    assert [quantity for _, _, quantity in list_open_sales(tws)] == [4, 4]


def test_exits_that_tws_kept_are_cut_to_the_part_of_their_entry_in_a_larger_position(
    routing, tws, bracket_entry
):
    bought = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    tws.exchange.keeps_children = True
    fill_part(routing, tws, bracket_entry)
    routing.harness.cancel(bracket_entry)
    run_until(routing, lambda: find_status(routing, bracket_entry) is Status.CANCELED)
    run_until(routing, lambda: set(describe_orders(routing).values()) == {("ACCEPTED", 4)})
    assert [quantity for _, _, quantity in list_open_sales(tws)] == [4, 4]


def report(routing, *events):
    """Apply events of TWS. Nothing is sent meanwhile."""
    at = format_timestamp(routing.harness.now)
    routing.harness.run(
        *(ApplyBrokerReport(routing.harness.tenant, event.order_id, event, at) for event in events)
    )


def test_exits_that_are_accepted_before_their_entry_has_ended_after_a_part_are_cut(
    routing, tws, bracket_entry
):
    fill_part(routing, tws, bracket_entry)
    routing.harness.cancel(bracket_entry)
    now = routing.harness.now
    report(routing, *(Accepted(order.id, now) for order in list_exits(routing).values()))
    report(routing, Canceled(bracket_entry.id, now))
    assert set(describe_orders(routing).values()) == {("PENDING_CANCEL", 4)}


def test_exit_that_is_cut_is_not_sent_again_if_the_other_one_has_filled(routing, tws, bracket_entry):
    bought = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    fill_part(routing, tws, bracket_entry)
    routing.harness.cancel(bracket_entry)
    target, stop = list_exits(routing).values()
    now = routing.harness.now
    report(routing, Canceled(bracket_entry.id, now), Accepted(target.id, now), Accepted(stop.id, now))
    report(routing, Canceled(target.id, now))
    new_take_profit = list_exits(routing)["take_profit"]
    report(routing, Executed(new_take_profit.id, "X-1", Decimal(4), Decimal(120), Decimal(480), now))
    report(routing, Canceled(stop.id, now))
    assert describe_orders(routing) == {"take_profit": ("FILLED", 0), "stop_loss": ("CANCELED", 0)}


def test_exit_that_tws_kept_is_canceled_there_before_it_is_known_to_work(
    routing, tws, bracket_entry, monkeypatch
):
    fill_part(routing, tws, bracket_entry)
    tws.exchange.keeps_children = True
    with monkeypatch.context() as patch:
        patch.setattr(tws.exchange, "publish_state", lambda _: None)
        patch.setattr("app.brokers.ibkr.order_report_processor.OrderReportProcessor.is_reading_due", False)
        routing.harness.cancel(bracket_entry)
        run_until(routing, lambda: find_status(routing, bracket_entry) is Status.CANCELED)
        assert describe_orders(routing) == WAITING
        target = list_exits(routing)["take_profit"]
        routing.harness.cancel(target)
        run_until(routing, lambda: tws.exchange.find_by_ref(target.id).status == "Cancelled")
    run_until(routing, lambda: find_status(routing, target) is Status.CANCELED)


def test_quantity_of_an_entry_with_exits_is_not_changed(routing, tws, bracket_entry):
    routing.harness.replace(bracket_entry, quantity="20")
    run_until(routing, lambda: find_status(routing, bracket_entry) is Status.ACCEPTED)
    assert tws.exchange.find_by_ref(bracket_entry.id).quantity == 10
    routing.harness.replace(bracket_entry, limit_price=96)
    run_until(routing, lambda: find_status(routing, bracket_entry) is Status.REPLACED)
    tws.quote("AAPL", "94", "95")
    run_until(routing, lambda: describe_orders(routing) == WORKING)


def test_exits_work_in_an_oca_group_of_which_a_fill_reduces_the_other(routing, tws, protected_entry):
    target, stop = (
        tws.exchange.find_by_ref(protected_entry[role].id) for role in ("take_profit", "stop_loss")
    )
    assert target.oca_group == stop.oca_group != ""
    tws.exchange.max_fill = 4
    tws.quote("AAPL", "120", "121")
    run_until(
        routing, lambda: find_status(routing, protected_entry["take_profit"]) is Status.PARTIALLY_FILLED
    )
    assert [order.leaves_quantity for order in list_exits(routing).values()] == [6, 6]
    tws.cut()
    tws.exchange.max_fill = None
    tws.quote("AAPL", "120", "121")
    run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.CANCELED)
    assert find_status(routing, protected_entry["take_profit"]) is Status.FILLED
    assert stop.status == "Cancelled"
    assert sum(quantity for quantity, _ in tws.exchange.positions.values()) == 0


def test_exits_of_a_position_are_an_oca_group(routing, tws):
    bought = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    set_exits(routing, 120, 80)
    both = [("LIMIT", "ACCEPTED", 10), ("STOP", "ACCEPTED", 10)]
    run_until(routing, lambda: list_open_exits(routing, bought) == both)
    groups = {order.oca_group for order in tws.exchange.orders if order.sign < 0}
    assert len(groups - {""}) == 1
    restart_process(routing)
    run_until(routing, lambda: is_connected(routing))
    set_exits(routing, 130, 70)
    run_until(routing, lambda: list_open_exits(routing, bought) == both)
    assert [quantity for _, _, quantity in list_open_sales(tws)] == [10, 10]
    tws.quote("AAPL", "70", "71")
    run_until(routing, lambda: not list_open_exits(routing, bought))
    assert sum(quantity for quantity, _ in tws.exchange.positions.values()) == 0


def test_stop_in_an_oca_group_is_replaced_and_still_cancels_the_other(routing, tws, protected_entry):
    routing.harness.replace(protected_entry["stop_loss"], stop_price=85)
    run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.REPLACED)
    restart_process(routing)
    run_until(routing, lambda: is_connected(routing))
    tws.quote("AAPL", "84", "85")
    run_until(routing, lambda: find_status(routing, protected_entry["take_profit"]) is Status.CANCELED)
    assert list_exits(routing)["stop_loss"].status is Status.FILLED
    assert sum(quantity for quantity, _ in tws.exchange.positions.values()) == 0


def test_commission_that_comes_after_a_kill_is_booked_for_the_successor_that_filled(routing, tws):
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    routing.harness.replace(order, limit_price=96)
    run_until(routing, lambda: find_status(routing, order) is Status.REPLACED)
    tws.exchange.holds_commissions = True
    tws.quote("AAPL", "94", "95.5")
    run_until(routing, lambda: len(routing.list_executions()) == 1)
    restart_process(routing)
    run_until(routing, lambda: is_connected(routing) and routing.broker.gateway.is_ready.is_set())
    [execution] = tws.exchange.executions
    tws.call(partial(tws.exchange.charge, execution))
    charges = "SELECT amount FROM cash_movements WHERE kind = 'charges'"
    run_until(routing, lambda: routing.harness.query(charges))
    assert [Decimal(str(amount)) for (amount,) in routing.harness.query(charges)] == [Decimal(-1)]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_fill_of_an_exit_that_has_ended_here_is_booked_once_by_the_next_process(
    routing, tws, protected_entry, is_replaced
):
    stop = tws.exchange.find_by_ref(protected_entry["stop_loss"].id)
    if is_replaced:
        routing.harness.replace(protected_entry["stop_loss"], stop_price=85)
        run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.REPLACED)
    own_stop = list_exits(routing)["stop_loss"]
    routing.harness.cancel(own_stop)
    run_until(routing, lambda: find_status(routing, own_stop) is Status.CANCELED)
    routing.broker.close()
    tws.call(lambda: tws.exchange.fill(stop, "4", "80"))  # it crossed the cancel, and no process reads it
    for _ in range(2):
        restart_process(routing)
        run_until(routing, lambda: len(routing.list_executions()) == 2)
    rows = routing.harness.query("SELECT order_id, note FROM executions WHERE note IS NOT NULL")
    assert [tuple(row) for row in rows] == [(own_stop.id, "late")]
    assert routing.harness.get_order(own_stop).filled_quantity == 4
    [(position_quantity,)] = routing.harness.query("SELECT quantity FROM positions")
    assert Decimal(str(position_quantity)) == count_held(tws) == 6


def list_sent(tws, *, since=0):
    """Return (type, quantity) of the sales that were sent to TWS."""
    return [(order.kind, int(order.sent_quantity)) for order in tws.exchange.orders[since:] if order.sign < 0]


def test_entry_ends_after_the_execution_that_its_cancel_crossed(routing, tws, bracket_entry):
    tws.exchange.crossing, tws.exchange.holds_executions = {bracket_entry.id: "4"}, True
    routing.harness.cancel(bracket_entry)
    run_until(routing, lambda: tws.exchange.find_by_ref(bracket_entry.id).status == "Cancelled")
    routing.run_session(3)
    assert find_status(routing, bracket_entry) is Status.PENDING_CANCEL
    assert len(tws.exchange.orders) == 3  # new exits wait for the execution
    tws.call(tws.exchange.report_executions)
    run_until(routing, lambda: set(describe_orders(routing).values()) == {("ACCEPTED", 4)})
    assert routing.harness.query("SELECT note FROM executions") == [(None,)]  # not late
    assert list_sent(tws, since=3) == [("LMT", 4), ("STP", 4)]


def test_exits_are_sent_again_for_the_unfilled_quantity_of_canceled_exits(routing, tws):
    bought = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    set_exits(routing, 120, 80)
    both = [("LIMIT", "ACCEPTED", 10), ("STOP", "ACCEPTED", 10)]
    run_until(routing, lambda: list_open_exits(routing, bought) == both)
    target = next(order for order in tws.exchange.orders if order.kind == "LMT" and order.sign < 0)
    tws.exchange.crossing, tws.exchange.holds_executions = {target.ref: "4"}, True
    set_exits(routing, 130, 70)
    run_until(routing, lambda: target.status == "Cancelled")
    routing.run_session(3)
    assert len(tws.exchange.orders) == 3  # the new exits wait for the execution
    tws.call(tws.exchange.report_executions)
    smaller = [("LIMIT", "ACCEPTED", 6), ("STOP", "ACCEPTED", 6)]
    run_until(routing, lambda: list_open_exits(routing, bought) == smaller)
    assert list_sent(tws, since=3) == [("LMT", 6), ("STP", 6)]


def quote_everywhere(routing, tws, bid):
    tws.quote("AAPL", str(bid), str(bid + 1))
    routing.harness.publish_quote(str(bid), str(bid + 1), str(bid))


@pytest.fixture
def bought_shares(routing):
    """Buy ten shares without exits. Return the id of the order."""
    bought = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    return bought


@pytest.mark.parametrize(("bid", "sent"), [(99, ["LMT", "STP"]), (121, ["STP", "LMT"])])
def test_exit_that_the_market_has_reached_is_sent_after_the_other_one(routing, tws, bought_shares, bid, sent):
    quote_everywhere(routing, tws, bid)
    set_exits(routing, 120, 80)
    run_until(routing, lambda: len(tws.exchange.orders) == 3)
    assert [kind for kind, _ in list_sent(tws)] == sent
    run_until(routing, lambda: routing.list_open_requests() == [])
    assert count_held(tws) == (10 if bid == 99 else 0)


def test_stop_that_the_market_has_reached_is_sent_after_the_target(routing, tws, bracket_entry):
    tws.exchange.max_fill = 2
    fill_part(routing, tws, bracket_entry)
    quote_everywhere(routing, tws, 79)  # it fills two more of the entry, and the OMS cancels the rest
    run_until(routing, lambda: len(tws.exchange.orders) == 5)
    assert list_sent(tws, since=3) == [("LMT", 6), ("STP", 6)]
    assert list_open_sales(tws) == [("LMT", "Submitted", 4), ("STP", "PreSubmitted", 4)]


def place_pair(routing):
    """Place a pair that buys, and that the market has not reached."""
    limit = build_ticket(type="LIMIT", limit_price="90", time_in_force="GTC")
    stop = build_ticket(type="STOP", stop_price="110", time_in_force="GTC")
    return routing.harness.place_pair("OCO", limit, stop)


def release_at_the_open(routing, tws, pair_orders, bid):
    routing.harness.now = routing.harness.now.replace(hour=14, minute=30)  # New York opens
    quote_everywhere(routing, tws, bid)
    assert {find_status(routing, order) for order in pair_orders} == {Status.HELD}
    routing.harness.release_orders()


def approve(routing, tws, pair_orders, bid):
    quote_everywhere(routing, tws, bid)
    origin = routing.harness.build_origin()._replace(actor="slack:T1:U9")
    routing.harness.run(DecideApproval(origin, pair_orders[0].id, True, "Because", None, "approver"))


WAITING_PAIRS = [
    ("enforce_sessions = 'hold'", Status.HELD, release_at_the_open),
    ("""approval = '{"mode":"always","max_move_percent":"50"}'""", Status.AWAITING_APPROVAL, approve),
]


@pytest.mark.parametrize(("change", "status", "release"), WAITING_PAIRS, ids=["open", "approval"])
@pytest.mark.parametrize(("bid", "sent"), [(99, ["LMT", "STP"]), (89, ["STP", "LMT"])])
def test_order_of_a_released_pair_that_the_market_has_reached_is_sent_last(
    routing, tws, change, status, release, bid, sent
):
    routing.harness.list_instrument()
    with unit_of_work(routing.harness.engine) as connection:
        connection.execute(text(f"UPDATE portfolios SET {change}"))  # noqa: S608
    pair_orders = place_pair(routing)
    assert {order.status for order in pair_orders} == {status}
    release(routing, tws, pair_orders, bid)
    run_until(routing, lambda: len(tws.exchange.orders) == 2)
    assert [order.kind for order in tws.exchange.orders] == sent
    run_until(routing, lambda: routing.list_open_requests() == [])
    assert count_held(tws) == (0 if bid == 99 else 10)


def test_exit_that_arrives_after_the_other_one_has_filled_does_not_rest(routing, tws, bought_shares):
    tws.quote("AAPL", "121", "122")  # which the desk does not know
    tws.exchange.holds_executions = True
    set_exits(routing, 120, 80)
    run_until(routing, lambda: len(tws.exchange.orders) == 3)
    assert list_open_sales(tws) == []
    tws.quote("AAPL", "79", "80")
    tws.call(tws.exchange.report_executions)
    run_until(routing, lambda: list_open_exits(routing, bought_shares) == [])
    ends = routing.harness.query("SELECT status FROM orders WHERE role = 'stop_loss'")
    assert (count_held(tws), ends) == (0, [("CANCELED",)])


def test_exit_that_arrives_after_a_part_of_the_other_one_is_sent_again_for_the_rest(
    routing, tws, bought_shares
):
    tws.exchange.now = lambda: routing.harness.now
    tws.exchange.max_fill, tws.exchange.holds_executions = 7, True
    tws.quote("AAPL", "121", "122")  # which the desk does not know
    set_exits(routing, 120, 80)
    run_until(routing, lambda: len(tws.exchange.orders) == 3)
    assert list_open_sales(tws) == [("LMT", "Submitted", 3), ("STP", "PreSubmitted", 10)]
    tws.call(tws.exchange.report_executions)
    remaining_exits = [("LMT", "Submitted", 3), ("STP", "PreSubmitted", 3)]
    run_until(routing, lambda: list_open_sales(tws) == remaining_exits)
    both = [("LIMIT", "PARTIALLY_FILLED", 3), ("STOP", "ACCEPTED", 3)]
    run_until(routing, lambda: list_open_exits(routing, bought_shares) == both)
    tws.quote("AAPL", "79", "80")
    run_until(routing, lambda: list_open_exits(routing, bought_shares) == [])
    assert count_held(tws) == 0


@pytest.mark.parametrize("keeps_reductions", [False, True])
def test_change_of_a_stop_that_crosses_a_fill_of_its_target_leaves_the_smaller_quantity(
    routing, tws, protected_entry, keeps_reductions
):
    target, stop = (
        tws.exchange.find_by_ref(protected_entry[role].id) for role in ("take_profit", "stop_loss")
    )
    tws.exchange.keeps_reductions = keeps_reductions
    tws.exchange.crossing = {target.ref: "4"}
    routing.harness.replace(protected_entry["stop_loss"], stop_price=85)
    run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.REPLACED)
    run_until(routing, lambda: stop.remaining == target.remaining == 6)
    run_until(routing, lambda: describe_orders(routing)["stop_loss"] == ("ACCEPTED", 6))
    assert describe_orders(routing)["take_profit"] == ("PARTIALLY_FILLED", 6)
    tws.quote("AAPL", "84", "85")
    run_until(routing, lambda: find_status(routing, protected_entry["take_profit"]) is Status.CANCELED)
    assert count_held(tws) == 0


def test_fill_that_is_reported_after_the_change_that_it_crossed_reduces_the_stop(
    routing, tws, protected_entry
):
    target, stop = (
        tws.exchange.find_by_ref(protected_entry[role].id) for role in ("take_profit", "stop_loss")
    )
    tws.exchange.now = lambda: routing.harness.now
    tws.exchange.crossing, tws.exchange.holds_executions = {target.ref: "4"}, True
    routing.harness.replace(protected_entry["stop_loss"], stop_price=85)
    run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.REPLACED)
    assert (stop.remaining, describe_orders(routing)["stop_loss"]) == (10, ("ACCEPTED", 10))
    tws.call(tws.exchange.report_executions)
    run_until(routing, lambda: stop.remaining == target.remaining == 6)
    run_until(routing, lambda: describe_orders(routing)["stop_loss"] == ("ACCEPTED", 6))


def test_changed_stop_has_the_quantity_that_its_target_did_not_fill(routing, tws, protected_entry):
    target, stop = (
        tws.exchange.find_by_ref(protected_entry[role].id) for role in ("take_profit", "stop_loss")
    )
    booked = len(routing.broker.list_executions())
    tws.call(lambda: tws.exchange.fill(target, "4", "120"))
    wait_until(lambda: len(routing.broker.list_executions()) > booked)
    routing.harness.replace(protected_entry["stop_loss"], stop_price=85)  # before the fill is booked
    run_until(routing, lambda: find_status(routing, protected_entry["stop_loss"]) is Status.REPLACED)
    assert describe_orders(routing) == {"take_profit": ("PARTIALLY_FILLED", 6), "stop_loss": ("ACCEPTED", 6)}
    assert (stop.remaining, stop.aux_price) == (6, "85")
    changes = [fields for message, fields in tws.requests if message == PLACE_ORDER][3:]
    assert len(changes) == 1


def break_at_random(draw, tws, routing):
    match draw.randrange(6):
        case 0 | 1:
            tws.faults.add(draw.choice(FAULTS), message=draw.choice([PLACE_ORDER, CANCEL_ORDER]))
        case 2:
            tws.cut()
        case 3:
            tws.faults.copies = draw.randrange(1, 3)
        case 4:
            tws.lose_connectivity()
            tws.restore_connectivity()
        case _:
            restart_process(routing)


def trade_at_random(draw, routing, tws, count):
    orders = []
    for number in range(count):
        if number % 100 == 0:
            print(f"{number} orders")
        if draw.random() < 0.9:
            run_until(routing, lambda: is_connected(routing))
        orders.append(routing.place_order(limit_price=str(draw.choice([90, 95, 99]) + draw.randrange(4))))
        break_at_random(draw, tws, routing)
        routing.run_session(1)
        tws.exchange.max_fill = draw.randrange(1, 15)
        bid = draw.randrange(90, 102)
        tws.quote("AAPL", str(bid), str(bid + 1))
        if draw.random() < 0.3:
            order = routing.harness.get_order(draw.choice(orders))
            if order.status not in FINAL_STATUSES | {Status.PENDING_CANCEL, Status.PENDING_REPLACE}:
                routing.harness.cancel(order)
    return orders


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_books_agree_after_random_faults(routing, tws, seed):
    orders = trade_at_random(random.Random(seed), routing, tws, 20 if seed == 1 else 1000)
    tws.faults.clear()
    tws.cut()
    tws.exchange.max_fill = None
    tws.quote("AAPL", "85", "86")

    def is_over():
        tws.quote("AAPL", "85", "86")
        return all(find_status(routing, order) in FINAL_STATUSES for order in orders)

    run_until(routing, is_over)
    run_until(routing, lambda: len(routing.list_executions()) == len(tws.exchange.executions))
    broker_ids = {execution.id for execution in tws.exchange.executions}
    assert {execution_id for execution_id, _ in routing.list_executions()} == broker_ids
    filled = {order.ref: order.filled for order in tws.exchange.orders}
    assert len(filled) == len(tws.exchange.orders)
    for order in orders:
        assert routing.harness.get_order(order).filled_quantity == filled.get(order.id, 0), order.id
    run_until(routing, lambda: routing.list_open_requests() == [])


def trade_brackets_at_random(draw, routing, tws, count):
    for _ in range(count):
        run_until(routing, lambda: is_connected(routing))
        price, quantity = str(draw.randrange(90, 100)), str(draw.randrange(4, 9))
        order = routing.place_order(limit_price=price, quantity=quantity, **BRACKET)
        break_at_random(draw, tws, routing)
        routing.run_session(1)
        tws.exchange.max_fill = draw.randrange(1, 15)
        tws.exchange.keeps_children = draw.random() < 0.5
        tws.call(tws.exchange.report_executions)
        if draw.random() < 0.3:  # a cancel crosses a fill of its order, and is reported before it
            tws.exchange.keeps_children = False  # they are as large as the entry until they are cut
            tws.exchange.crossing = {order.id: str(draw.randrange(1, 4))}
            tws.exchange.holds_executions = draw.random() < 0.7
            routing.harness.cancel(order)
            routing.run_session(draw.randrange(3))
        bid = draw.choice([draw.randrange(86, 101), draw.randrange(70, 125)])
        move_price(routing, tws, bid)
        opened = list_open_ids(routing)
        if opened and draw.random() < 0.3:
            routing.harness.cancel(order._replace(id=draw.choice(opened)))


def move_price(routing, tws, bid):
    """Quote a price to both sides. No quote lets exits sell more than is held.

    Exits that TWS keeps have the quantity of their entry until they are cut. An exit that joined its
    pair after a fill has its former quantity until it is canceled. The price waits for both.
    """

    def quote():
        has_uncut = bool(list_uncut_exits(tws.exchange.orders) or list_larger_exits(tws.exchange.orders))
        if not has_uncut:
            tws.exchange.quote("AAPL", str(bid), str(bid + 1))
        return not has_uncut

    run_until(routing, lambda: tws.call(quote))
    routing.harness.publish_quote(str(bid), str(bid + 1), str(bid))
    assert count_held(tws) >= 0


def list_uncut_exits(orders):
    """Return the exits that would sell more than the part with which their entry ended."""
    uncut = []
    for entry in [order for order in orders if order.status == "Cancelled"]:
        exits = [
            order for order in orders if (order.client_id, order.parent_id) == (entry.client_id, entry.id)
        ]
        open_quantity = entry.filled - sum(order.filled for order in exits)
        uncut += [order for order in exits if order.is_open and order.remaining > open_quantity]
    return uncut


def list_larger_exits(orders):
    """Return the exits with a larger leaves quantity than the other exit of their OCA group."""
    pairs = permutations([order for order in orders if order.is_open and order.oca_group], 2)
    return [
        order
        for order, other in pairs
        if order.oca_group == other.oca_group and order.remaining > other.remaining
    ]


def count_held(tws):
    return sum(quantity for quantity, _ in tws.exchange.positions.values())


def list_open_ids(routing):
    finals = ", ".join(f"'{status}'" for status in FINAL_STATUSES)
    return [row[0] for row in routing.harness.query(f"SELECT id FROM orders WHERE status NOT IN ({finals})")]  # noqa: S608


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))])
def test_exits_sell_the_position_despite_any_failure(routing, tws, seed):
    trade_brackets_at_random(random.Random(seed), routing, tws, 15 if seed == 1 else 40)
    tws.faults.clear()
    tws.exchange.crossing = {}
    tws.call(tws.exchange.report_executions)
    tws.cut()
    tws.exchange.max_fill = None

    def is_over():
        move_price(routing, tws, 70)
        routing.run_session(1)
        move_price(routing, tws, 125)
        return not list_open_ids(routing)

    run_until(routing, is_over)
    run_until(routing, lambda: routing.list_open_requests() == [])
    assert list_open_sales(tws) == []
    assert {execution_id for execution_id, _ in routing.list_executions()} == {
        execution.id for execution in tws.exchange.executions
    }
    [(own_quantity,)] = routing.harness.query("SELECT quantity FROM positions")
    assert Decimal(str(own_quantity)) == count_held(tws)
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL
