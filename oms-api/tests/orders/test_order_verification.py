"""`python -m app.verify` finds each kind of tampering with orders, and reports nothing for intact ones."""

from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Executed
from app.ledger.rules.verification import LedgerCheck
from app.orders.rules.values import TakeProfit
from app.orders.rules.verification import OrderCheck
from app.verify import format_report, verify_database
from tests.orders.writer_harness import WriterHarness

RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


@pytest.fixture
def harness_with_history(harness):
    """Provide a database with a denied order, a bracket, replacements, a late fill and a partial fill."""
    harness.place_order()
    harness.place_order(quantity="2000000")
    harness.place_order(**RESTING_LIMIT_ORDER, take_profit=TakeProfit(Decimal(120)))
    replaced = harness.place_order(**RESTING_LIMIT_ORDER)
    successor = harness.replace(replaced, quantity="20").orders[0].order
    harness.report_broker_event(
        replaced, Executed(replaced.id, "late", Decimal(3), Decimal(90), Decimal(270), harness.now)
    )
    harness.replace(successor, quantity="2000000")
    harness.publish_quote("89", "90", "90", ask_size="7")
    harness.cancel(successor)
    return harness


def list_failed_checks(harness):
    return {check for check, times in verify_database(harness.engine).failed.items() if times}


def tamper_with_rows(harness, statement):
    """Run a statement with the triggers disabled, as the owner of the database can."""
    with harness.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER order_events_refuse_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS events_refuse_update"))
            connection.execute(text("DROP TRIGGER executions_refuse_delete"))
        else:
            connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text(statement))
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET session_replication_role = DEFAULT"))


def test_intact_database_passes_verification(harness_with_history):
    result = verify_database(harness_with_history.engine)
    assert result.is_clean, list(format_report(result, 0))
    assert result.checked[OrderCheck.HISTORY] == len(harness_with_history.query("SELECT id FROM orders"))
    assert result.checked[OrderCheck.TRADE] == 3


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
        ("UPDATE events SET following = replace(following, 'order.', 'disorder.')", LedgerCheck.EVENT),
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
def test_each_tampered_value_is_reported(harness_with_history, statement, check):
    harness_with_history.publish_quote("89", "90", "90", ask_size="1")
    tamper_with_rows(harness_with_history, statement)
    assert check in list_failed_checks(harness_with_history)


def test_quantity_below_the_filled_quantity_of_its_chain_is_reported(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    order = harness.place_order(type="LIMIT", limit_price="101", time_in_force="GTC")
    harness.replace(order, quantity="3")
    tamper_with_rows(harness, "UPDATE orders SET quantity = '3.00000000' WHERE status = 'FILLED'")
    assert OrderCheck.QUANTITY in list_failed_checks(harness)


def test_overfill_reported_by_the_broker_passes_verification(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    harness.report_broker_event(
        order, Executed(order.id, "over", Decimal(11), Decimal(90), Decimal(990), harness.now)
    )
    assert list_failed_checks(harness) == set()


def test_writes_of_two_processes_pass_verification(engine):
    first, second = WriterHarness(engine), WriterHarness(engine)
    first.publish_quote("99", "101", "100")
    second.now = first.now
    for number in range(10):
        for harness in (first, second):
            harness.advance_clock()
            harness.place_order(**RESTING_LIMIT_ORDER, client_order_id=f"{number}-{id(harness)}")
    second.now = first.now
    second.publish_quote("89", "90", "90")
    assert list_failed_checks(first) == set()
    assert {row[0] for row in first.query("SELECT status FROM orders")} == {"FILLED"}
