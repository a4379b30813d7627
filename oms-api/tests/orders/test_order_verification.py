"""`python -m app.verify` finds each kind of tampering with orders, and reports nothing for intact ones."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Executed
from app.ledger.rules.verification import Check
from app.orders.rules.values import Target
from app.orders.rules.verification import OrderCheck
from app.verify import format_report, verify_database
from tests.orders.rig import Rig

WAITING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


@pytest.fixture
def busy(rig):
    """Provide a database where a bit of everything has happened."""
    rig.place()
    rig.place(quantity="2000000")
    rig.place(**WAITING, take_profit=Target(Decimal(120)))
    replaced = rig.place(**WAITING)
    successor = rig.replace(replaced, quantity="20").orders[0].order
    rig.report(replaced, Executed(replaced.id, "late", Decimal(3), Decimal(90), Decimal(270), rig.now))
    rig.replace(successor, quantity="2000000")
    rig.quote("89", "90", "90", ask_size="7")
    rig.cancel(successor)
    return rig


def failed(rig):
    return {check for check, times in verify_database(rig.engine).failed.items() if times}


def tamper(rig, statement):
    """Lie past the triggers, as only the owner of the database could."""
    with rig.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER order_events_refuse_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS events_refuse_update"))
            connection.execute(text("DROP TRIGGER executions_refuse_delete"))
        else:
            connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(statement))
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET session_replication_role = DEFAULT"))


def test_intact_database_passes_verification(busy):
    verdict = verify_database(busy.engine)
    assert verdict.clean, list(format_report(verdict, 0))
    assert verdict.checked[OrderCheck.HISTORY] == len(busy.rows("SELECT id FROM orders"))
    assert verdict.checked[OrderCheck.TRADE] == 3


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("UPDATE order_events SET to_status = 'HELD' WHERE sequence = 1", OrderCheck.EVENT),
        ("UPDATE order_events SET from_status = 'HELD' WHERE sequence = 1", OrderCheck.HISTORY),
        ("UPDATE order_events SET sequence = 9 WHERE sequence = 1", OrderCheck.HISTORY),
        (
            "UPDATE order_events SET following = replace(following, '\"SUBMITTED\"', '\"HELD\"')",
            OrderCheck.HISTORY,
        ),
        ("UPDATE order_events SET following = NULL", OrderCheck.HISTORY),
        ("UPDATE events SET following = replace(following, 'order.', 'disorder.')", Check.EVENT),
        ("UPDATE orders SET event_count = 1 WHERE status = 'FILLED'", OrderCheck.HISTORY),
        ("UPDATE orders SET status = 'CANCELED' WHERE status = 'ACCEPTED'", OrderCheck.HISTORY),
        ("UPDATE orders SET quantity = '1.00000000' WHERE status = 'PARTIALLY_FILLED'", OrderCheck.QUANTITY),
        ("UPDATE orders SET quantity = '3.00000000' WHERE status = 'FILLED'", OrderCheck.QUANTITY),
        ("UPDATE orders SET filled_quantity = '1.00000000' WHERE status = 'FILLED'", OrderCheck.FILLS),
        ("UPDATE orders SET filled_value = '1.00000000' WHERE status = 'CANCELED'", OrderCheck.FILLS),
        ("DELETE FROM executions", OrderCheck.TRADE),
    ],
)
@pytest.mark.any_database
def test_each_tampered_value_is_reported(busy, statement, check):
    busy.quote("89", "90", "90", ask_size="1")
    tamper(busy, statement)
    assert check in failed(busy)


def test_quantity_below_the_filled_quantity_of_its_chain_is_reported(rig):
    rig.quote("99", "101", "100", ask_size="4")
    order = rig.place(type="LIMIT", limit_price="101", time_in_force="GTC")
    rig.replace(order, quantity="3")
    tamper(rig, "UPDATE orders SET quantity = '3.00000000' WHERE status = 'FILLED'")
    assert OrderCheck.QUANTITY in failed(rig)


def test_overfill_reported_by_the_broker_passes_verification(rig):
    order = rig.place(**WAITING)
    rig.report(order, Executed(order.id, "over", Decimal(11), Decimal(90), Decimal(990), rig.now))
    assert failed(rig) == set()


def test_writes_of_two_processes_pass_verification(engine):
    one, two = Rig(engine), Rig(engine)
    one.quote("99", "101", "100")
    two.now = one.now
    for number in range(10):
        for rig in (one, two):
            rig.tick()
            rig.place(**WAITING, client_order_id=f"{number}-{id(rig)}")
    two.now = one.now
    two.quote("89", "90", "90")
    assert failed(one) == set()
    assert {row[0] for row in one.rows("SELECT status FROM orders")} == {"FILLED"}
