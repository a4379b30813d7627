"""Totals of all portfolios are consistent: a fill of another process is counted once."""

from decimal import Decimal

import pytest
from sqlalchemy import event

from app.database import unit_of_work
from app.orders.rules.values import Status
from app.orders.service.commands import PlaceOrder
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.service.limit_store import set_limit
from app.timestamps import Timestamp
from tests.orders.writer_harness import WriterHarness, build_ticket

MOST, AT = Decimal(1500), Timestamp("2026-11-20T00:00:00.000000Z")


@pytest.fixture
def limited_harness(harness):
    """Provide a firm with an exposure limit of 1,500 and a resting order for 1,000 in another portfolio."""
    harness.place_order(portfolio="Other", type="LIMIT", limit_price="100")
    limit = RiskLimit(LimitScope.TENANT, "", "", LimitCode.MAX_GROSS_EXPOSURE, MOST, set_at=AT)
    with unit_of_work(harness.engine) as connection:
        set_limit(connection, harness.tenant, limit)
    harness.restart()
    return harness


def test_firm_limit_counts_orders_and_positions_of_other_portfolios(limited_harness):
    assert limited_harness.place_order(quantity="6").status is Status.DENIED
    limited_harness.publish_quote("99", "100", "100")
    assert limited_harness.place_order(quantity="6").status is Status.DENIED
    assert limited_harness.place_order(quantity="5").status is Status.FILLED


def test_fill_during_the_read_of_firm_totals_is_counted_once(limited_harness):
    """It comes between the statement that reads the positions of all and whatever follows."""
    if limited_harness.engine.dialect.name == "sqlite":
        pytest.skip("the writer has the file to itself")
    other, statements = WriterHarness(limited_harness.engine, now=limited_harness.now), []

    def fill(_connection, _cursor, statement, *_rest):
        statements.append(statement)
        is_summing = any("pg_advisory_xact_lock" in sql for sql in statements)
        if is_summing and "positions" in statement and other.now == limited_harness.now:
            other.publish_quote("99", "100", "100")

    limited_harness.open_portfolio()
    command = PlaceOrder(limited_harness.build_origin(), build_ticket(quantity="6"), "Growth", "growth")
    with limited_harness.engine.connect().execution_options(writes=True) as connection, connection.begin():
        event.listen(connection, "after_cursor_execute", fill)
        (outcome,) = limited_harness.handler.handle(connection, [command], {}).outcomes
    assert other.now > limited_harness.now
    assert outcome.orders[0].order.status is Status.DENIED
