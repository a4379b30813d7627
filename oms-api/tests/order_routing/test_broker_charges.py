"""Charges of a broker are booked once, less the estimate of the cost schedule."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Busted, Charged
from app.orders.service.commands import AdoptOrder
from tests.orders.writer_harness import build_ticket

pytestmark = [pytest.mark.any_database, pytest.mark.usefixtures("decides_on_loaded_state")]
RECONCILED = 301  # seconds, longer than the interval


def report_charge(routing, fill, amount="1.25", currency="USD"):
    routing.broker.report(
        Charged(fill.order_id, fill.execution_id, Decimal(amount), currency, routing.harness.now)
    )
    routing.run_session()


def list_cash_movements(routing):
    rows = routing.harness.query("SELECT kind, amount, reason FROM cash_movements ORDER BY sequence")
    return [(kind, Decimal(amount), reason) for kind, amount, reason in rows if reason and "alpaca" in reason]


def read_cash(routing):
    return Decimal(routing.harness.query("SELECT cash FROM portfolios WHERE name = 'Growth'")[0][0])


@pytest.fixture
def filled_order(routing):
    order = routing.place_working_order()
    fill = routing.broker.fill(order, "10")
    routing.run_session()
    return fill


def test_charge_of_an_execution_is_booked_once(routing, filled_order):
    before = read_cash(routing)
    for _ in range(2):
        report_charge(routing, filled_order)
    assert list_cash_movements(routing) == [
        ("charges", Decimal("-1.25"), f"alpaca charged 1.25 USD for {filled_order.execution_id}")
    ]
    assert read_cash(routing) == before - Decimal("1.25")


def test_rebate_is_an_adjustment(routing, filled_order):
    report_charge(routing, filled_order, "-0.20")
    assert [row[:2] for row in list_cash_movements(routing)] == [("adjustment", Decimal("0.20"))]


def test_charge_of_an_execution_that_is_not_booked_changes_nothing(routing, filled_order):
    report_charge(routing, filled_order._replace(execution_id="unknown"))
    assert list_cash_movements(routing) == []


def test_bust_returns_the_charge(routing, filled_order):
    before = read_cash(routing)
    report_charge(routing, filled_order)
    routing.broker.report(
        Busted(filled_order.order_id, filled_order.execution_id, "busted", routing.harness.now)
    )
    routing.run_session()
    assert [row[:2] for row in list_cash_movements(routing)] == [
        ("charges", Decimal("-1.25")),
        ("adjustment", Decimal("1.25")),
    ]
    assert read_cash(routing) == before + filled_order.value


@pytest.mark.parametrize("event", ["charge", "bust"])
def test_report_under_the_id_of_a_replaced_order_finds_the_fill_of_its_successor(routing, event):
    order = routing.place_working_order()
    routing.harness.replace(order, quantity="20")
    routing.run_session()
    successor = routing.harness.get_order(order._replace(id=routing.harness.get_order(order).replaced_by))
    fill = routing.broker.fill(successor, "20")
    routing.run_session()
    report_charge(routing, fill._replace(order_id=order.id))  # as after a restart, from a list of executions
    if event == "bust":
        routing.broker.report(Busted(order.id, fill.execution_id, "busted", routing.harness.now))
        routing.run_session()
    amounts = [Decimal("-1.25")] + ([Decimal("1.25")] if event == "bust" else [])
    assert [row[1] for row in list_cash_movements(routing)] == amounts
    assert routing.harness.get_order(successor).filled_quantity == (0 if event == "bust" else 20)


def test_charge_in_another_currency_needs_a_rate(routing, filled_order):
    report_charge(routing, filled_order, currency="EUR")
    assert list_cash_movements(routing) == []
    report_charge(routing, filled_order)
    assert len(list_cash_movements(routing)) == 1


def run_reconciliation(routing, seconds=RECONCILED):
    routing.harness.advance_clock(seconds=seconds)
    routing.run_session()


def keep_charge(routing, fill, amount="1.25", currency="USD"):
    """Let the broker report the charge of an execution now, and keep it."""
    charged = Charged(fill.order_id, fill.execution_id, Decimal(amount), currency, routing.harness.now)
    routing.broker.charges.append(charged)
    routing.broker.report(charged)
    routing.run_session()


def test_charge_of_an_execution_that_is_booked_later_is_booked_once(routing):
    order = routing.place_working_order()
    routing.broker.is_silent = True
    fill = routing.broker.fill(order, "10")
    keep_charge(routing, fill)
    assert (routing.list_executions(), list_cash_movements(routing)) == ([], [])
    for _ in range(2):
        run_reconciliation(routing)
    assert len(routing.list_executions()) == 1
    assert [row[:2] for row in list_cash_movements(routing)] == [("charges", Decimal("-1.25"))]


def test_charge_of_an_adopted_order_is_booked(routing):
    order = routing.place_working_order(quantity="20")
    foreign = routing.broker._book.find(order.id)._replace(id="placed-by-hand")
    routing.broker.submit(foreign, routing.harness.now)
    fill = routing.broker.fill(order._replace(id="placed-by-hand"), "5")
    keep_charge(routing, fill)
    terms = build_ticket(type="LIMIT", limit_price="90", quantity="20", time_in_force="GTC")
    routing.harness.run(
        AdoptOrder(routing.harness.build_origin(), "placed-by-hand", terms, "Growth", "growth")
    )
    for _ in range(2):
        run_reconciliation(routing)
    assert [row[0] for row in routing.list_executions()] == [fill.execution_id]
    assert [row[:2] for row in list_cash_movements(routing)] == [("charges", Decimal("-1.25"))]


def test_charge_that_has_no_exchange_rate_is_tried_again_each_hour(routing, filled_order):
    keep_charge(routing, filled_order, currency="EUR")
    for _ in range(3):
        run_reconciliation(routing)
    attempts = "SELECT 1 FROM order_events WHERE broker_words LIKE 'Charged:%'"
    assert len(routing.harness.query(attempts)) == 2  # the report, and the first comparison
    routing.harness.publish_quote("1.0999", "1.1001", "1.1", symbol="EUR/USD")
    run_reconciliation(routing)
    assert list_cash_movements(routing) == []
    routing.harness.advance_clock(hours=1)
    routing.harness.publish_quote("1.0999", "1.1001", "1.1", symbol="EUR/USD")
    run_reconciliation(routing)
    assert [row[:2] for row in list_cash_movements(routing)] == [("charges", Decimal("-1.375"))]


def test_charges_of_busted_executions_are_not_booked_again(routing, filled_order):
    keep_charge(routing, filled_order)
    routing.broker.report(
        Busted(filled_order.order_id, filled_order.execution_id, "busted", routing.harness.now)
    )
    routing.run_session()
    run_reconciliation(routing)
    assert [row[:2] for row in list_cash_movements(routing)] == [
        ("charges", Decimal("-1.25")),
        ("adjustment", Decimal("1.25")),
    ]
