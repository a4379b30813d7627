"""The OMS and the stand-in of Alpaca agree, whatever fails between them."""

import random

import pytest
from sqlalchemy import text

from app.clock import to_milliseconds, utc_now
from app.database import unit_of_work
from app.orders.rules.values import FINAL_STATUSES, Status
from app.verify import verify_database
from tests.order_routing.alpaca import connect_portfolio, find_status, run_until
from tests.order_routing.random_faults import break_at_random
from tests.orders.writer_harness import to_decimal

pytestmark = pytest.mark.any_database


@pytest.fixture
def routing(engine, create_broker):
    return connect_portfolio(engine, create_broker)


def test_order_is_sent_filled_and_booked(routing, alpaca):
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    alpaca.exchange.quote("AAPL", "94", "94.50", ask_size="4")
    run_until(routing, lambda: find_status(routing, order) is Status.PARTIALLY_FILLED)
    alpaca.exchange.quote("AAPL", "93", "94")
    run_until(routing, lambda: find_status(routing, order) is Status.FILLED)
    assert routing.harness.get_order(order).filled_value == 4 * 94.5 + 6 * 94
    assert sorted(execution[0] for execution in routing.list_executions()) == sorted(
        execution.id for execution in alpaca.exchange.executions
    )


def test_process_whose_clock_is_behind_applies_all_events(routing, alpaca, create_broker):
    cursor = (to_milliseconds(utc_now()) + 60_000) * 1000  # of a clock that is a minute ahead
    with unit_of_work(routing.harness.engine) as connection:
        connection.execute(text("UPDATE broker_connections SET cursor = :cursor"), {"cursor": cursor})
    routing.broker.close()
    routing.broker = create_broker()
    routing.restart()
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: find_status(routing, order) is Status.FILLED)
    executions = routing.harness.query(
        "SELECT theirs FROM reconciliation_issues WHERE type = 'missing_execution'"
    )
    assert executions == []  # the fill was not found by a comparison minutes later


def test_cancel_reaches_alpaca(routing, alpaca):
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    routing.harness.cancel(order)
    run_until(routing, lambda: find_status(routing, order) is Status.CANCELED)
    assert alpaca.exchange.get_order_by_client_order_id(order.id).status == "canceled"


@pytest.mark.parametrize("fault", ["", "drops", "swaps"])
def test_fill_of_a_replacement_is_booked_once_the_order_is_replaced(routing, alpaca, fault):
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    alpaca.exchange.quote("AAPL", "99", "101", ask_size="4")
    alpaca.faults.stream.is_held = True  # both are reported at once, and applied together
    routing.harness.replace(order, limit_price="101")
    routing.run_session(1)
    if fault:  # the fill is reported without the replacement, or before it
        setattr(alpaca.faults.stream, fault, 1)
    alpaca.faults.stream.is_held = False
    alpaca.stream.flush()
    run_until(routing, lambda: find_status(routing, order) is Status.REPLACED)
    successor = order._replace(id=routing.harness.get_order(order).replaced_by)
    run_until(routing, lambda: find_status(routing, successor) is Status.PARTIALLY_FILLED)
    routing.harness.cancel(successor)
    run_until(routing, lambda: find_status(routing, successor) is Status.CANCELED)
    assert [to_decimal(quantity) for _, quantity in routing.list_executions()] == [4]


def test_order_that_alpaca_cannot_execute_is_rejected_and_not_sent(routing, alpaca):
    order = routing.place_order(time_in_force="GTC", quantity="1.5")
    run_until(routing, lambda: find_status(routing, order) is Status.REJECTED)
    assert not alpaca.exchange.orders


def test_fills_that_alpaca_lists_under_other_ids_are_booked_once(routing, alpaca, create_broker):
    alpaca.faults.orders.renames_fills = True
    order = routing.place_order(limit_price="95")
    run_until(routing, lambda: find_status(routing, order) is Status.ACCEPTED)
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="2")
    run_until(routing, lambda: len(routing.list_executions()) == 1)
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="2")  # as much, at the same price
    run_until(routing, lambda: len(routing.list_executions()) == 2)
    routing.broker.close()
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="2")  # while the OMS is down
    routing.broker = create_broker()
    routing.restart()
    run_until(routing, lambda: len(routing.list_executions()) == 3)
    alpaca.exchange.quote("AAPL", "94", "95", ask_size="4")
    run_until(routing, lambda: find_status(routing, order) is Status.FILLED)
    routing.harness.advance_clock(
        days=20
    )  # past the clock of the stand-in: the account is compared with all fills
    routing.run_session(8)
    assert sorted(to_decimal(quantity) for _, quantity in routing.list_executions()) == [2, 2, 2, 4]
    types = routing.harness.query("SELECT type FROM reconciliation_issues WHERE status = 'open'")
    assert {kind for (kind,) in types} <= {"cash_mismatch"}


def trade_at_random(draw, routing, alpaca, create_broker, count):
    orders = []
    for _ in range(count):
        side, price = draw.choice([("BUY", 99), ("BUY", 95), ("BUY", 90)])
        orders.append(routing.place_order(side=side, limit_price=str(price + draw.randrange(4))))
        break_at_random(draw, alpaca, routing, create_broker)
        routing.run_session(1)
        bid = draw.randrange(90, 102)
        alpaca.exchange.quote("AAPL", str(bid), str(bid + 1), ask_size=str(draw.randrange(1, 15)))
        if draw.random() < 0.2:
            order = routing.harness.get_order(draw.choice(orders))
            if order.status not in FINAL_STATUSES | {Status.PENDING_CANCEL}:
                routing.harness.cancel(order)
    return orders


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_books_agree_after_random_faults(routing, alpaca, create_broker, seed, monkeypatch):
    monkeypatch.setattr("app.brokers.remote.account_state.REPORT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("app.brokers.remote.account_state.SYNCHRONIZATION_PERIOD_SECONDS", 1.0)
    draw = random.Random(seed)
    count = 25 if seed == 1 else 1000
    orders = trade_at_random(draw, routing, alpaca, create_broker, count)
    alpaca.faults.clear()
    alpaca.stream.flush()
    alpaca.exchange.quote("AAPL", "88", "89")
    run_until(routing, lambda: all(find_status(routing, order) in FINAL_STATUSES for order in orders))
    run_until(routing, lambda: len(routing.list_executions()) == len(alpaca.exchange.executions))
    broker_quantities = {execution.id: execution.qty for execution in alpaca.exchange.executions}
    assert {execution_id for execution_id, _ in routing.list_executions()} == set(broker_quantities)
    orders_by_client_id = {order.client_order_id: order for order in alpaca.exchange.orders.values()}
    for order in orders:
        stored_order = routing.harness.get_order(order)
        filled = orders_by_client_id[order.id].filled_qty if order.id in orders_by_client_id else 0
        assert stored_order.filled_quantity == filled, order.id
    run_until(routing, lambda: routing.list_open_requests() == [])
    broker_positions = {
        symbol: position.qty for symbol, position in alpaca.exchange.positions.items() if position.qty
    }
    own_positions = routing.harness.query("SELECT symbol, quantity FROM positions")
    assert {symbol: to_decimal(quantity) for symbol, quantity in own_positions} == broker_positions
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL
