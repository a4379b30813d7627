"""The OMS and the stand-in of Kite reconcile after any fault between them."""

import random
from datetime import timedelta

import pytest

from app.brokers.zerodha.rules.tags import build_tag
from app.clock import utc_now
from app.order_routing.service.charge_comparison import ChargeComparison
from app.orders.rules.values import FINAL_STATUSES, Status
from tests.order_routing.alpaca import find_status, run_until
from tests.order_routing.position_exits import list_open_exits, set_exits
from tests.order_routing.scripted_broker import RoutingHarness
from tests.orders.writer_harness import WriterHarness

pytestmark = pytest.mark.any_database
FAULTS = ("cut_before", "cut_after", "status", "status_after", "latency")


@pytest.fixture
def routing(engine, create_zerodha_broker):
    harness = WriterHarness(engine)
    harness.publish_quote("99", "101", "100")
    routing = RoutingHarness(harness, create_zerodha_broker())
    run_until(routing, lambda: routing.get_connection().status == "connected")
    return routing


def place_order(routing, **changes):
    return routing.place_order(time_in_force="DAY", **changes)


def find_at_kite(kite, order):
    return next(iter(kite.exchange.list_by_tag(build_tag(order.id))), None)


def test_order_is_sent_filled_and_booked(routing, kite):
    order = place_order(routing, limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    kite.exchange.quote("AAPL", "94", "94.50", ask_size="4")
    run_until(routing, lambda: find_status(routing, order) is Status.PARTIALLY_FILLED)
    kite.exchange.quote("AAPL", "93", "94")
    run_until(routing, lambda: find_status(routing, order) is Status.FILLED)
    assert routing.harness.get_order(order).filled_value == 4 * 94.5 + 6 * 94
    assert len(routing.list_executions()) == 2


def test_replacement_keeps_the_filled_quantity(routing, kite):
    order = place_order(routing, limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    kite.faults.orders.crossing = "4"
    routing.harness.replace(order, limit_price="96")
    run_until(routing, lambda: find_status(routing, order) is Status.REPLACED)
    replaced = routing.harness.get_order(order)
    successor = routing.harness.get_order(replaced._replace(id=replaced.replaced_by))
    kite.exchange.quote("AAPL", "94", "95.50")
    run_until(routing, lambda: find_status(routing, successor) is Status.FILLED)
    assert sum(trade.quantity for trade in kite.exchange.trades) == 10


def test_exits_of_a_position_rest_one_at_a_time(engine, kite, create_zerodha_broker):
    harness = WriterHarness(engine)
    harness.publish_quote("99", "101", "100")
    routing = RoutingHarness(harness, create_zerodha_broker(), broker_name="zerodha")
    run_until(routing, lambda: routing.get_connection().status == "connected")
    bought = place_order(routing, limit_price="101")
    run_until(routing, lambda: find_status(routing, bought) is Status.FILLED)
    set_exits(routing, 120, 80, 79)
    waiting = [("LIMIT", "HELD", 10), ("STOP_LIMIT", "ACCEPTED", 10)]
    run_until(routing, lambda: list_open_exits(routing, bought) == waiting)
    harness.publish_quote("120", "121", "120")
    run_until(routing, lambda: list_open_exits(routing, bought) == [("LIMIT", "ACCEPTED", 10)])
    kite.exchange.quote("AAPL", "120", "121")
    run_until(routing, lambda: not list_open_exits(routing, bought))
    assert sum(trade.quantity for trade in kite.exchange.trades) == 20


def test_expired_session_is_shown_as_refused(routing, kite):
    kite.sessions.expire()
    kite.ticker.cut()
    run_until(routing, lambda: routing.get_connection().status == "refused")
    assert "needs today's login" in (routing.get_connection().error or "")


def start_another_process(routing, create_zerodha_broker):
    routing.broker.close()
    routing.broker = create_zerodha_broker()
    routing.restart()


def test_order_that_kite_no_longer_lists_the_next_day_expires(routing, kite, create_zerodha_broker):
    order = place_order(routing, limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    kite.exchange.orders.clear()  # as every morning
    start_another_process(routing, create_zerodha_broker)
    run_until(routing, lambda: routing.broker.get_connection_state().is_ready)
    routing.run_session(2)
    assert find_status(routing, order) is Status.ACCEPTED  # it is still the same day
    routing.harness.now = utc_now() + timedelta(days=1)  # the stand-in uses the real clock
    start_another_process(routing, create_zerodha_broker)
    run_until(routing, lambda: find_status(routing, order) is Status.EXPIRED)


def test_charges_that_differ_from_kite_are_logged_and_counted_once(routing, kite, engine, caplog):
    order = place_order(routing, limit_price="101")
    run_until(routing, lambda: find_status(routing, order) is Status.FILLED)
    counted: list[str] = []
    comparison = ChargeComparison(engine, lambda: routing.harness.now, counted.append)
    with caplog.at_level("INFO", "app.order_routing"):
        for _ in range(2):
            comparison.run(routing.get_connection(), routing.broker)
    assert counted == [routing.get_connection().broker]
    assert [line for line in caplog.messages if f"charges of order {order.id} differ: ours 0.00" in line]


def break_at_random(draw, kite, routing, create_zerodha_broker):
    match draw.randrange(7):
        case 0 | 1 | 2:
            kite.faults.add(draw.choice(FAULTS), method=draw.choice(["POST", "DELETE", ""]), status=500)
        case 3:
            kite.ticker.cut()
        case 4:
            kite.faults.stream.duplicates = draw.randrange(4)
        case 5:
            kite.faults.stream.drops = 1
        case _:  # the OMS dies, and another process goes on
            start_another_process(routing, create_zerodha_broker)


def trade_at_random(draw, routing, kite, create_zerodha_broker, count):
    orders = []
    for _ in range(count):
        orders.append(place_order(routing, limit_price=str(draw.choice([99, 95, 90]) + draw.randrange(4))))
        break_at_random(draw, kite, routing, create_zerodha_broker)
        routing.run_session(1)
        bid = draw.randrange(90, 102)
        kite.exchange.quote("AAPL", str(bid), str(bid + 1), ask_size=str(draw.randrange(1, 15)))
        if draw.random() < 0.2:
            order = routing.harness.get_order(draw.choice(orders))
            if order.status not in FINAL_STATUSES | {Status.PENDING_CANCEL}:
                routing.harness.cancel(order)
    return orders


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
def test_books_agree_after_random_faults(routing, kite, create_zerodha_broker, seed, monkeypatch):
    monkeypatch.setattr("app.brokers.remote.account_state.REPORT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("app.brokers.remote.account_state.SYNCHRONIZATION_PERIOD_SECONDS", 1.0)
    orders = trade_at_random(
        random.Random(seed), routing, kite, create_zerodha_broker, 25 if seed == 1 else 1000
    )
    kite.faults.clear()
    kite.ticker.flush()
    kite.exchange.quote("AAPL", "88", "89")
    run_until(routing, lambda: all(find_status(routing, order) in FINAL_STATUSES for order in orders))
    run_until(routing, lambda: len(routing.list_executions()) == len(kite.exchange.trades))
    for order in orders:
        broker_order = find_at_kite(kite, order)
        assert routing.harness.get_order(order).filled_quantity == (
            broker_order.filled if broker_order else 0
        ), order.id
    assert len(kite.exchange.orders) <= len(orders)  # none was doubled
    run_until(routing, lambda: routing.list_open_requests() == [])
