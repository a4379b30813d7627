"""Intraday (MIS) orders and positions end at the square-off of their segment."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
import pytest
from sqlalchemy import text

from app.database import set_tenant_scope, unit_of_work
from app.orders.rules.values import Status
from app.orders.service.internal_commands import SquareOff
from app.timestamps import format_timestamp

MORNING = datetime(2026, 11, 20, 5, tzinfo=UTC)
SQUARE_OFF = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)  # 15:20 in Mumbai
MIS = {"symbol": "INFY", "product": "MIS"}
RESTING = {"type": "LIMIT", "limit_price": "90"}


@pytest.fixture
def mumbai_harness(harness):
    """Provide a portfolio that holds orders outside the sessions of Mumbai, in the morning."""
    harness.list_instrument("INFY", "NSE", currency="INR")
    harness.enforce_sessions("hold")
    with unit_of_work(harness.engine) as connection:
        set_tenant_scope(connection, [harness.tenant])
        connection.execute(text("UPDATE portfolios SET base_currency = 'INR', cost_schedule = 'zerodha'"))
    harness.now = MORNING
    harness.publish_quote("99", "101", "100", symbol="INFY")
    return harness


def run_square_off(harness):
    harness.run(SquareOff(harness.tenant, format_timestamp(harness.now)))


def list_positions(harness):
    positions = harness.query("SELECT symbol, product, quantity FROM positions ORDER BY product")
    return {(symbol, product): Decimal(str(quantity)) for symbol, product, quantity in positions}


def test_square_off_closes_positions_and_cancels_orders(mumbai_harness):
    mumbai_harness.place_order(**MIS)
    order = mumbai_harness.place_order(**MIS | {"product": "CNC"})
    resting, delivery = (
        mumbai_harness.place_order(**MIS, **RESTING),
        mumbai_harness.place_order(**MIS | {"product": "CNC"}, **RESTING),
    )
    mumbai_harness.now = SQUARE_OFF - timedelta(microseconds=1)
    run_square_off(mumbai_harness)
    assert list_positions(mumbai_harness)["INFY", "MIS"] == 10
    mumbai_harness.now = SQUARE_OFF
    run_square_off(mumbai_harness)
    assert list_positions(mumbai_harness) == {("INFY", "MIS"): 0, ("INFY", "CNC"): 10}
    assert mumbai_harness.get_order(resting).status is Status.CANCELED
    assert (mumbai_harness.get_order(delivery).status, order.status) == (Status.ACCEPTED, Status.FILLED)


def test_square_off_close_is_charged(mumbai_harness):
    mumbai_harness.place_order(**MIS)
    mumbai_harness.now = SQUARE_OFF
    run_square_off(mumbai_harness)
    charges = [
        orjson.loads(row[0])
        for row in mumbai_harness.query("SELECT charges FROM executions ORDER BY executed_at")
    ]
    assert [Decimal(charge.get("square_off", "0")) for charge in charges] == [0, 50]
    assert Decimal(charges[1]["gst"]) >= 9


def test_square_off_runs_once_and_later_orders_are_denied(mumbai_harness):
    mumbai_harness.place_order(**MIS)
    mumbai_harness.now = SQUARE_OFF
    run_square_off(mumbai_harness)
    run_square_off(mumbai_harness)
    assert len(mumbai_harness.query("SELECT id FROM orders WHERE source = 'square-off'")) == 1
    late = mumbai_harness.place_order(**MIS)
    assert late.status is Status.DENIED
    assert "MIS positions were closed at 2026-11-20T09:50:00" in (late.denial or "")
    assert mumbai_harness.place_order(**MIS | {"product": "CNC"}).status is Status.FILLED
    mumbai_harness.now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    next_day = mumbai_harness.place_order(**MIS)
    run_square_off(mumbai_harness)
    assert mumbai_harness.get_order(next_day).status is Status.HELD


def test_missed_square_off_runs_at_the_next_open(mumbai_harness):
    mumbai_harness.place_order(**MIS)
    mumbai_harness.now = datetime(2026, 11, 20, 12, tzinfo=UTC)  # the service was down
    run_square_off(mumbai_harness)
    assert list_positions(mumbai_harness)["INFY", "MIS"] == 10
    mumbai_harness.now = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
    mumbai_harness.release_orders("INFY")
    assert list_positions(mumbai_harness)["INFY", "MIS"] == 0


def test_square_off_skips_portfolios_that_do_not_enforce_sessions(mumbai_harness):
    mumbai_harness.enforce_sessions("off")
    mumbai_harness.place_order(**MIS)
    mumbai_harness.now = SQUARE_OFF
    run_square_off(mumbai_harness)
    assert list_positions(mumbai_harness)["INFY", "MIS"] == 10
