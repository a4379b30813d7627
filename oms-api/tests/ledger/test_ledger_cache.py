"""The writer reads a portfolio and its positions again only if their rows have changed."""

import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.database import connect_engine, set_tenant_scope
from app.ledger.queries import batch_statements
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, RecordTrade

_CHANGE = text("UPDATE portfolios SET cash = cash + 5 WHERE name = :name")
_CORRUPT = text("UPDATE positions SET quantity = 100")
_WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")


@pytest.fixture
def owner(new_database):
    engine = connect_engine(new_database("postgresql"))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(owner):
    engine = connect_engine(owner.url.render_as_string(hide_password=False), tenant_scoped=True)
    with engine.connect().execution_options(prepares=True) as connection:
        yield connection
    engine.dispose()


def record_trades(handler, connection, *names, commit=True):
    """Record a trade of one unit for 10 in each portfolio. Return the rows."""
    commands = [
        RecordTrade(
            CommandOrigin(1, "tests", None, utc_now(), None, None),
            *(
                "AAPL",
                "",
                Side.BUY,
                compute_trade_value(Decimal(1), Decimal(10), None),
                name,
                name.lower(),
                None,
            ),
        )
        for name in names
    ]
    result = handler.handle(connection, commands)
    if not commit:
        connection.rollback()
        return []
    connection.commit()
    result.on_commit()
    return [(outcome.row.position_quantity, outcome.row.cash_after) for outcome in result.outcomes]


def list_known(handler, connection):
    """Return the names of the portfolios whose rows the next batch would not read."""
    keys = [(1, portfolio_id) for portfolio_id in handler._portfolio_ids.values()]
    rows = batch_statements.lock_portfolios(
        set_tenant_scope(connection, [1]), handler._cache.list_versions(connection, keys)
    )
    connection.rollback()
    ids = {row.id for row in rows if row.state is None}
    return {key.name_key for key, portfolio_id in handler._portfolio_ids.items() if portfolio_id in ids}


@pytest.fixture
def handler(connection):
    """Provide a handler that has cached two portfolios, each with one trade more than one."""
    handler = LedgerBatchHandler()
    for _ in range(3):  # the first creates the portfolios, the second reads them
        record_trades(handler, connection, "One", "Two")
    return handler


def test_unchanged_portfolio_is_not_read_again(handler, connection):
    assert list_known(handler, connection) == {"one", "two"}
    assert record_trades(handler, connection, "One") == [("4.00000000", "999960.00000000")]
    assert record_trades(handler, connection, "One", "One", "Two")[1:] == [
        ("6.00000000", "999940.00000000"),
        ("4.00000000", "999960.00000000"),
    ]


def test_cached_position_is_not_read_again(handler, connection, owner):
    with owner.begin() as other:
        other.execute(_CORRUPT)  # without a change of the portfolio, which no code of the service does
    assert record_trades(handler, connection, "One") == [("4.00000000", "999960.00000000")]


def test_portfolio_that_another_session_changed_is_read_with_its_positions(handler, connection, owner):
    with owner.begin() as other:
        other.execute(_CHANGE, {"name": "One"})
        other.execute(_CORRUPT)
    assert list_known(handler, connection) == {"two"}
    assert record_trades(handler, connection, "One", "Two") == [
        ("101.00000000", "999965.00000000"),
        ("4.00000000", "999960.00000000"),
    ]


def test_change_committed_while_the_batch_waits_for_its_lock_is_read(handler, connection, owner):
    with owner.connect() as other, owner.connect() as observer, ThreadPoolExecutor(1) as threads:
        other.execute(_CHANGE, {"name": "One"})
        waiting = threads.submit(record_trades, handler, connection, "One")
        while not observer.execute(_WAITING).scalar_one():
            assert not waiting.done()
            time.sleep(0.01)
        other.commit()
        assert waiting.result() == [("4.00000000", "999965.00000000")]


def test_batch_that_is_rolled_back_leaves_nothing_in_the_cache(handler, connection):
    record_trades(handler, connection, "One", commit=False)
    assert list_known(handler, connection) == {"two"}
    assert record_trades(handler, connection, "One") == [("4.00000000", "999960.00000000")]


def test_another_session_with_the_database_knows_no_version(handler, connection):
    connection.invalidate()
    connection.rollback()
    assert list_known(handler, connection) == set()
    assert record_trades(handler, connection, "One") == [("4.00000000", "999960.00000000")]


def test_failed_batch_clears_the_cache(handler, connection):
    handler.clear_caches()
    assert list_known(handler, connection) == set()


def test_instrument_of_a_cached_position_is_looked_up(handler, connection, owner):
    """The currency and the alias of a symbol can change without a change of the portfolio."""
    with owner.begin() as other:
        other.execute(
            text(
                "INSERT INTO instruments (tenant_id, symbol, exchange, asset_class, currency, tick_size,"
                " lot_size, is_tradable, is_restricted, updated_at)"
                " VALUES (1, 'APC', 'XETR', 'equity', 'USD', 0.01, 1, true, false, now())"
            )
        )
        other.execute(text("INSERT INTO instrument_aliases VALUES (1, 'AAPL', 'APC')"))
    assert record_trades(handler, connection, "One") == [("1.00000000", "999960.00000000")]
    assert record_trades(handler, connection, "One") == [("2.00000000", "999950.00000000")]
