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
def mumbai(rig):
    """Provide a portfolio that holds orders outside the sessions of Mumbai, in the morning."""
    rig.list_instrument("INFY", "NSE", currency="INR")
    rig.enforce_sessions("hold")
    with unit_of_work(rig.engine) as connection:
        set_tenant_scope(connection, [rig.tenant])
        connection.execute(text("UPDATE portfolios SET base_currency = 'INR', cost_schedule = 'zerodha'"))
    rig.now = MORNING
    rig.quote("99", "101", "100", symbol="INFY")
    return rig


def square_off(rig):
    rig.run(SquareOff(rig.tenant, format_timestamp(rig.now)))


def positions(rig):
    found = rig.rows("SELECT symbol, product, quantity FROM positions ORDER BY product")
    return {(symbol, product): Decimal(str(quantity)) for symbol, product, quantity in found}


def test_square_off_closes_positions_and_cancels_orders(mumbai):
    mumbai.place(**MIS)
    kept = mumbai.place(**MIS | {"product": "CNC"})
    resting, delivery = mumbai.place(**MIS, **RESTING), mumbai.place(**MIS | {"product": "CNC"}, **RESTING)
    mumbai.now = SQUARE_OFF - timedelta(microseconds=1)
    square_off(mumbai)
    assert positions(mumbai)["INFY", "MIS"] == 10
    mumbai.now = SQUARE_OFF
    square_off(mumbai)
    assert positions(mumbai) == {("INFY", "MIS"): 0, ("INFY", "CNC"): 10}
    assert mumbai.order(resting).status is Status.CANCELED
    assert (mumbai.order(delivery).status, kept.status) == (Status.ACCEPTED, Status.FILLED)


def test_square_off_close_is_charged(mumbai):
    mumbai.place(**MIS)
    mumbai.now = SQUARE_OFF
    square_off(mumbai)
    charges = [
        orjson.loads(row[0]) for row in mumbai.rows("SELECT charges FROM executions ORDER BY executed_at")
    ]
    assert [Decimal(one.get("square_off", "0")) for one in charges] == [0, 50]
    assert Decimal(charges[1]["gst"]) >= 9


def test_square_off_runs_once_and_later_orders_are_denied(mumbai):
    mumbai.place(**MIS)
    mumbai.now = SQUARE_OFF
    square_off(mumbai)
    square_off(mumbai)
    assert len(mumbai.rows("SELECT id FROM orders WHERE source = 'square-off'")) == 1
    late = mumbai.place(**MIS)
    assert late.status is Status.DENIED
    assert "MIS positions were closed at 2026-11-20T09:50:00" in (late.denial or "")
    assert mumbai.place(**MIS | {"product": "CNC"}).status is Status.FILLED
    mumbai.now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    next_day = mumbai.place(**MIS)
    square_off(mumbai)
    assert mumbai.order(next_day).status is Status.HELD


def test_missed_square_off_runs_at_the_next_open(mumbai):
    mumbai.place(**MIS)
    mumbai.now = datetime(2026, 11, 20, 12, tzinfo=UTC)  # the service was down
    square_off(mumbai)
    assert positions(mumbai)["INFY", "MIS"] == 10
    mumbai.now = datetime(2026, 11, 23, 3, 45, tzinfo=UTC)
    mumbai.release("INFY")
    assert positions(mumbai)["INFY", "MIS"] == 0


def test_square_off_skips_portfolios_that_do_not_enforce_sessions(mumbai):
    mumbai.enforce_sessions("off")
    mumbai.place(**MIS)
    mumbai.now = SQUARE_OFF
    square_off(mumbai)
    assert positions(mumbai)["INFY", "MIS"] == 10
