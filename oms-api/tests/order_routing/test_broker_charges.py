"""What a broker charges is booked once, beyond what the cost schedule estimated."""

from decimal import Decimal

import pytest

from app.brokers.rules.values import Busted, Charged
from app.orders.service.commands import AdoptOrder
from tests.orders.rig import ticket

pytestmark = pytest.mark.any_database
RECONCILED = 301  # seconds, longer than the interval


def charge(routing, fill, amount="1.25", currency="USD"):
    routing.broker.report(
        Charged(fill.order_id, fill.execution_id, Decimal(amount), currency, routing.rig.now)
    )
    routing.run()


def movements(routing):
    rows = routing.rig.rows("SELECT kind, amount, reason FROM cash_movements ORDER BY sequence")
    return [(kind, Decimal(amount), reason) for kind, amount, reason in rows if reason and "alpaca" in reason]


def cash(routing):
    return Decimal(routing.rig.rows("SELECT cash FROM portfolios WHERE name = 'Growth'")[0][0])


@pytest.fixture
def fill(routing):
    order = routing.work()
    fill = routing.broker.fill(order, "10")
    routing.run()
    return fill


def test_charge_of_an_execution_is_booked_once(routing, fill):
    before = cash(routing)
    for _ in range(2):
        charge(routing, fill)
    assert movements(routing) == [
        ("charges", Decimal("-1.25"), f"alpaca charged 1.25 USD for {fill.execution_id}")
    ]
    assert cash(routing) == before - Decimal("1.25")


def test_rebate_is_an_adjustment(routing, fill):
    charge(routing, fill, "-0.20")
    assert [row[:2] for row in movements(routing)] == [("adjustment", Decimal("0.20"))]


def test_charge_of_an_execution_that_is_not_booked_changes_nothing(routing, fill):
    charge(routing, fill._replace(execution_id="unknown"))
    assert movements(routing) == []


def test_bust_returns_the_charge(routing, fill):
    before = cash(routing)
    charge(routing, fill)
    routing.broker.report(Busted(fill.order_id, fill.execution_id, "busted", routing.rig.now))
    routing.run()
    assert [row[:2] for row in movements(routing)] == [
        ("charges", Decimal("-1.25")),
        ("adjustment", Decimal("1.25")),
    ]
    assert cash(routing) == before + fill.value


@pytest.mark.parametrize("event", ["charge", "bust"])
def test_report_under_the_id_of_a_replaced_order_finds_the_fill_of_its_successor(routing, event):
    order = routing.work()
    routing.rig.replace(order, quantity="20")
    routing.run()
    successor = routing.rig.order(order._replace(id=routing.rig.order(order).replaced_by))
    fill = routing.broker.fill(successor, "20")
    routing.run()
    charge(routing, fill._replace(order_id=order.id))  # as after a restart, from a list of executions
    if event == "bust":
        routing.broker.report(Busted(order.id, fill.execution_id, "busted", routing.rig.now))
        routing.run()
    amounts = [Decimal("-1.25")] + ([Decimal("1.25")] if event == "bust" else [])
    assert [row[1] for row in movements(routing)] == amounts
    assert routing.rig.order(successor).filled_quantity == (0 if event == "bust" else 20)


def test_charge_in_another_currency_needs_a_rate(routing, fill):
    charge(routing, fill, currency="EUR")
    assert movements(routing) == []
    charge(routing, fill)
    assert len(movements(routing)) == 1


def reconcile(routing, seconds=RECONCILED):
    routing.rig.tick(seconds=seconds)
    routing.run()


def keep_charge(routing, fill, amount="1.25", currency="USD"):
    """Let the broker report the charge of an execution now, and keep it."""
    charged = Charged(fill.order_id, fill.execution_id, Decimal(amount), currency, routing.rig.now)
    routing.broker.charges.append(charged)
    routing.broker.report(charged)
    routing.run()


def test_charge_of_an_execution_that_is_booked_later_is_booked_once(routing):
    order = routing.work()
    routing.broker.is_silent = True
    fill = routing.broker.fill(order, "10")
    keep_charge(routing, fill)
    assert (routing.executions(), movements(routing)) == ([], [])
    for _ in range(2):
        reconcile(routing)
    assert len(routing.executions()) == 1
    assert [row[:2] for row in movements(routing)] == [("charges", Decimal("-1.25"))]


def test_charge_of_an_adopted_order_is_booked(routing):
    order = routing.work(quantity="20")
    foreign = routing.broker._book.find(order.id)._replace(id="placed-by-hand")
    routing.broker.submit(foreign, routing.rig.now)
    fill = routing.broker.fill(order._replace(id="placed-by-hand"), "5")
    keep_charge(routing, fill)
    terms = ticket(type="LIMIT", limit_price="90", quantity="20", time_in_force="GTC")
    routing.rig.run(AdoptOrder(routing.rig.origin(), "placed-by-hand", terms, "Growth", "growth"))
    for _ in range(2):
        reconcile(routing)
    assert [row[0] for row in routing.executions()] == [fill.execution_id]
    assert [row[:2] for row in movements(routing)] == [("charges", Decimal("-1.25"))]


def test_charge_that_has_no_exchange_rate_is_tried_again_each_hour(routing, fill):
    keep_charge(routing, fill, currency="EUR")
    for _ in range(3):
        reconcile(routing)
    attempts = "SELECT 1 FROM order_events WHERE broker_words LIKE 'Charged:%'"
    assert len(routing.rig.rows(attempts)) == 2  # the report, and the first comparison
    routing.rig.quote("1.0999", "1.1001", "1.1", symbol="EUR/USD")
    reconcile(routing)
    assert movements(routing) == []
    routing.rig.tick(hours=1)
    routing.rig.quote("1.0999", "1.1001", "1.1", symbol="EUR/USD")
    reconcile(routing)
    assert [row[:2] for row in movements(routing)] == [("charges", Decimal("-1.375"))]


def test_charges_of_busted_executions_are_not_booked_again(routing, fill):
    keep_charge(routing, fill)
    routing.broker.report(Busted(fill.order_id, fill.execution_id, "busted", routing.rig.now))
    routing.run()
    reconcile(routing)
    assert [row[:2] for row in movements(routing)] == [
        ("charges", Decimal("-1.25")),
        ("adjustment", Decimal("1.25")),
    ]
