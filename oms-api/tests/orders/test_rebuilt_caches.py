"""A cached portfolio is not used after its rows were repaired, whichever program repaired them."""

import pytest
from sqlalchemy import text

from app import rebuild
from app.database import unit_of_work
from app.migrate import _renew_versions
from app.orders.service.commands import PreviewOrder
from app.verify import verify_database
from tests.orders.rig import ticket

DAMAGES = (
    "UPDATE positions SET quantity = '50.00000000'",
    "UPDATE positions SET cost = '9.00000000', realized_pnl = '5.00000000'",
    "DELETE FROM positions",
    "INSERT INTO positions SELECT tenant_id, portfolio_id, 'GHOST', product, quantity, cost, realized_pnl, "
    "last_sequence, currency, local_cost, opened_at, closed_at, last_executed_at FROM positions",
    "UPDATE portfolios SET cash = '7.00000000'",
    "UPDATE orders SET limit_price = '1.00000000'",
)


def run(rig, statement):
    with unit_of_work(rig.engine) as connection:
        connection.execute(text(statement))


def estimate(rig, **fields):
    (preview,) = rig.run(PreviewOrder(rig.origin(), ticket(**fields), "Growth", "growth"))
    return preview.estimate


@pytest.mark.parametrize("damage", DAMAGES[:5])
def test_running_process_reloads_after_a_rebuild(rig, damage):
    rig.place()
    whole = estimate(rig, quantity="1")
    run(rig, damage)
    rig.restart()
    estimate(rig, quantity="1")  # the process has seen what is damaged
    rig.place(type="LIMIT", limit_price="90", quantity="1")
    assert rebuild.rebuild_all(rig.engine) == rebuild.REBUILT
    now = estimate(rig, quantity="1")
    assert (now.position_after, now.cash_after) == (whole.position_after, whole.cash_after)
    assert rig.place(quantity="1").filled_quantity == 1
    assert verify_database(rig.engine).clean


def test_running_process_reloads_after_a_rebuild_without_findings(rig):
    """Whoever repaired the row by hand left no version: the next rebuild writes it."""
    rig.place()
    run(rig, DAMAGES[0])
    rig.restart()
    assert estimate(rig, quantity="1").position_after == 51
    run(rig, "UPDATE positions SET quantity = '10.00000000'")
    rebuild.rebuild_all(rig.engine)
    assert estimate(rig, quantity="1").position_after == 11


def test_running_process_reloads_after_a_migration(rig):
    """It may change any row; it renews the versions of all portfolios."""
    rig.place()
    resting = rig.place(type="LIMIT", limit_price="90")
    assert estimate(rig, quantity="1").position_after == 11
    with unit_of_work(rig.engine) as connection:
        connection.execute(text(DAMAGES[0]))
        connection.execute(text(DAMAGES[5]))
        _renew_versions(connection)
    assert estimate(rig, quantity="1").position_after == 51
    assert rig.replace(resting, quantity="4").orders[0].order.limit_price == 1
