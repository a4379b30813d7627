"""A cached portfolio is not used after its rows were repaired, whichever program repaired them."""

import pytest
from sqlalchemy import text

from app import rebuild
from app.database import unit_of_work
from app.migrate import _renew_versions
from app.orders.service.commands import PreviewOrder
from app.verify import verify_database
from tests.orders.writer_harness import build_ticket

DAMAGES = (
    "UPDATE positions SET quantity = '50.00000000'",
    "UPDATE positions SET cost = '9.00000000', realized_pnl = '5.00000000'",
    "DELETE FROM positions",
    "INSERT INTO positions SELECT tenant_id, portfolio_id, 'GHOST', product, quantity, cost, realized_pnl, "
    "last_sequence, currency, local_cost, opened_at, closed_at, last_executed_at FROM positions",
    "UPDATE portfolios SET cash = '7.00000000'",
    "UPDATE orders SET limit_price = '1.00000000'",
)


def run_statement(harness, statement):
    with unit_of_work(harness.engine) as connection:
        connection.execute(text(statement))


def read_estimate(harness, **fields):
    (preview,) = harness.run(PreviewOrder(harness.build_origin(), build_ticket(**fields), "Growth", "growth"))
    return preview.estimate


@pytest.mark.parametrize("damage", DAMAGES[:5])
def test_running_process_reloads_after_a_rebuild(harness, damage):
    harness.place_order()
    whole = read_estimate(harness, quantity="1")
    run_statement(harness, damage)
    harness.restart()
    read_estimate(harness, quantity="1")  # the process has seen what is damaged
    harness.place_order(type="LIMIT", limit_price="90", quantity="1")
    assert rebuild.rebuild_all(harness.engine) == rebuild.REBUILT
    now = read_estimate(harness, quantity="1")
    assert (now.position_after, now.cash_after) == (whole.position_after, whole.cash_after)
    assert harness.place_order(quantity="1").filled_quantity == 1
    assert verify_database(harness.engine).is_clean


def test_running_process_reloads_after_a_rebuild_without_findings(harness):
    """A manual repair of the row sets no version. The next rebuild writes the version."""
    harness.place_order()
    run_statement(harness, DAMAGES[0])
    harness.restart()
    assert read_estimate(harness, quantity="1").position_after == 51
    run_statement(harness, "UPDATE positions SET quantity = '10.00000000'")
    rebuild.rebuild_all(harness.engine)
    assert read_estimate(harness, quantity="1").position_after == 11


def test_running_process_reloads_after_a_migration(harness):
    """It may change any row; it renews the versions of all portfolios."""
    harness.place_order()
    resting = harness.place_order(type="LIMIT", limit_price="90")
    assert read_estimate(harness, quantity="1").position_after == 11
    with unit_of_work(harness.engine) as connection:
        connection.execute(text(DAMAGES[0]))
        connection.execute(text(DAMAGES[5]))
        _renew_versions(connection)
    assert read_estimate(harness, quantity="1").position_after == 51
    assert harness.replace(resting, quantity="4").orders[0].order.limit_price == 1
