"""Fills of exits that have ended here: the next process books those that a killed process did not read."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.brokers.rules.values import Executed
from app.money import multiply
from app.orders.rules.values import Role, Status, StopLoss, TakeProfit
from app.verify import verify_database
from tests.order_routing.alpaca import connect_portfolio, find_status, run_until
from tests.order_routing.position_exits import set_exits

pytestmark = pytest.mark.any_database
TARGET, STOP = TakeProfit(Decimal(120)), StopLoss(Decimal(80))


@pytest.fixture
def routing(engine, create_broker):
    return connect_portfolio(engine, create_broker)


def find_order(routing, role):
    [[order_id]] = routing.harness.query(f"SELECT id FROM orders WHERE role = '{role}'")  # noqa: S608
    return routing.harness.get_order(routing.entry._replace(id=order_id))


def fill_and_report(routing, alpaca, order, kind, quantity, price):
    """Fill a part of an order, and book it before the session goes on."""
    resting = next(
        broker_order
        for broker_order in alpaca.exchange.orders.values()
        if broker_order.type == kind and broker_order.is_open
    )
    execution_id = alpaca.exchange.fill(resting.id, quantity, price)
    units, value = Decimal(quantity), multiply(Decimal(quantity), Decimal(price))
    fill = Executed(order.id, execution_id, units, Decimal(price), value, routing.harness.now)
    routing.harness.report_broker_event(order, fill)
    return resting


def place_target(routing):
    """Buy ten shares with a target, which Alpaca knows by its own id only."""
    routing.entry = routing.place_order(limit_price="101", take_profit=TARGET)


def place_pair(routing):
    """Buy ten shares, then set both exits: Alpaca knows the stop by its own id only."""
    routing.entry = routing.place_order(limit_price="101")
    run_until(routing, lambda: find_status(routing, routing.entry) is Status.FILLED)
    set_exits(routing, 120, 80)


@pytest.fixture(params=[(place_target, Role.TAKE_PROFIT, "limit"), (place_pair, Role.STOP_LOSS, "stop")])
def overfilled(request, routing, alpaca):
    """Let an exit end here with the six shares to which a sale reduced it, while Alpaca works ten."""
    place, role, kind = request.param
    place(routing)
    run_until(routing, lambda: find_order(routing, role).status is Status.ACCEPTED)
    order = find_order(routing, role)
    alpaca.exchange.positions["AAPL"].qty += 4  # shares of another owner: Alpaca reserves ours for the exits
    alpaca.faults.stream.is_held = True
    sale = routing.place_order(side="SELL", quantity="4", limit_price="110")
    routing.run_session(1)
    resting = next(
        broker_order
        for broker_order in alpaca.exchange.orders.values()
        if broker_order.client_order_id == sale.id
    )
    sold = alpaca.exchange.fill(resting.id, "4", "110")
    value = multiply(Decimal(4), Decimal(110))
    routing.harness.report_broker_event(
        sale, Executed(sale.id, sold, Decimal(4), Decimal(110), value, routing.harness.now)
    )
    resting = fill_and_report(routing, alpaca, order, kind, "6", "100")
    assert find_status(routing, order) is Status.FILLED
    return order, resting


def restart_process(routing, alpaca, create_broker):
    """Let the process die, and another one go on, at the time of the stand-in."""
    routing.broker.close()
    alpaca.faults.stream.is_held = False
    routing.harness.now = datetime.now(UTC) + timedelta(seconds=10)
    routing.broker = create_broker()
    routing.restart()


def test_fill_of_an_exit_that_has_ended_here_is_booked_once(routing, alpaca, create_broker, overfilled):
    order, resting = overfilled
    unread = alpaca.exchange.fill(resting.id, "4", "100")
    for _ in range(2):
        restart_process(routing, alpaca, create_broker)
        run_until(routing, lambda: unread in {name for name, _ in routing.list_executions()})
    rows = routing.harness.query("SELECT order_id, note FROM executions WHERE note IS NOT NULL")
    assert [tuple(row) for row in rows] == [(order.id, "over")]
    assert find_order(routing, order.role).filled_quantity == 10
    assert set(verify_database(routing.harness.engine).failed) <= {"portfolio record"}  # it was set by SQL


def test_rest_of_an_exit_that_has_ended_here_is_canceled_by_the_next_process(
    routing, alpaca, create_broker, overfilled
):
    _, resting = overfilled
    assert resting.is_open
    restart_process(routing, alpaca, create_broker)
    run_until(routing, lambda: not resting.is_open and not routing.list_open_requests())
    assert resting.leaves == 4
