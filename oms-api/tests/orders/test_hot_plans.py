"""The writer's queries use indexes on large tables, even without statistics.

PostgreSQL counts what a transaction reads of each table, whatever the plan: by scan, or by index and filter.
"""

from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import text

from app.database import connect_engine, set_tenant_scope, unit_of_work
from app.database.engine import discard_plans
from app.instruments.rules import InstrumentKey
from app.ledger.queries.portfolios import load_portfolios_by_name
from app.ledger.queries.trades import TradeFilter, list_trades
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import RecordTrade, ReverseTrade
from app.market_data.queries import load_quotes
from app.orders.queries.due_orders import count_overdue_orders, list_instruments_with_held_orders
from app.orders.queries.order_views import OrderFilter, list_orders
from app.orders.queries.orders import list_instruments_with_open_orders
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import GroupKind, Status, StopLoss, TakeProfit
from app.orders.service.commands import (
    CancelOrder,
    ClosePosition,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
)
from app.orders.service.internal_commands import ExpireOrders, MatchQuote
from app.timestamps import format_timestamp
from tests.orders.writer_harness import START, WriterHarness, build_ticket

SIZES = (0, 2_000, 20_000)
MOST_ROWS = 150  # that one command reads of one table; the small tables of a tenant are read whole
BULK = 77  # id of a portfolio whose rows are many
_ID = "(1763654400000 + n)::text || lpad(to_hex(n), 12, '0')"
_OLD = "'2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second'"
_GENERATED = {("events", "id"), ("ticks", "id")}
_CLONED = {
    "portfolios": {"id": "1000 + n", "name": "'Bulk ' || n", "name_key": "'bulk ' || n"},
    "positions": {"portfolio_id": f"{BULK}", "symbol": "'BULK' || n"},
    "trades": {
        "portfolio_id": f"{BULK}",
        "trade_id": f"'T' || {_ID}",
        "sequence": "n",
        "idempotency_key": "'bulk-' || n",
        "request_hash": "repeat('0', 64)",
        "order_id": "NULL",
        "executed_at": _OLD,
        "created_at": _OLD,
    },
    "orders": {
        "portfolio_id": f"{BULK}",
        "id": f"'O' || {_ID}",
        "client_order_id": "'bulk-' || n",
        "idempotency_key": "'order:bulk-' || n",
        "request_hash": "repeat('0', 64)",
        "created_at": _OLD,
        "updated_at": _OLD,
    },
    "order_events": {"order_id": f"'O' || {_ID}", "sequence": "1", "at": _OLD},
    "executions": {
        "portfolio_id": f"{BULK}",
        "order_id": f"'O' || {_ID}",
        "execution_id": "'bulk-' || n",
        "trade_id": f"'T' || {_ID}",
        "executed_at": _OLD,
    },
    "quotes": {"symbol": "'BULK' || n"},
    "ticks": {"at": _OLD},
    "instruments": {"symbol": "'BULK' || n"},
    "events": {},
}


@pytest.fixture(scope="module")
def unanalysed_database(new_database):
    """Provide a database whose tables are never analyzed."""
    engine = connect_engine(new_database("postgresql"))
    with unit_of_work(engine) as connection:
        for table in _CLONED:
            connection.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def writer(unanalysed_database):
    """Provide the service's own connection, which may keep the plans that it makes for empty tables."""
    engine = connect_engine(unanalysed_database.url.render_as_string(hide_password=False), tenant_scoped=True)
    with engine.connect().execution_options(writes=True, prepares=True) as connection:
        yield connection
    engine.dispose()


def clone_row(connection, table, first, last):
    """Add copies of a row of the table, numbered from `first` to `last`."""
    row = connection.execute(
        text("SELECT column_name, is_identity FROM information_schema.columns WHERE table_name = :table"),
        {"table": table},
    )
    names = [name for name, is_identity in row if is_identity == "NO" and (table, name) not in _GENERATED]
    values = ", ".join(_CLONED[table].get(name, name) for name in names)
    where = "WHERE status = 'FILLED'" if table == "orders" else ""
    connection.execute(
        text(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} "  # noqa: S608  # names of this file
            f"FROM (SELECT * FROM {table} {where} LIMIT 1) one, generate_series(:first, :last) n"
        ),
        {"first": first, "last": last},
    )


def fill_tables(engine, harness, count):
    """Let each table have `count` rows more than the few that a desk has."""
    if not count:
        return
    with unit_of_work(engine) as connection:
        (trade_count,) = connection.execute(text("SELECT count(*) FROM trades WHERE portfolio_id = 77")).one()
        if not trade_count:
            connection.execute(
                text(
                    "INSERT INTO portfolios (id, tenant_id, name, name_key, base_currency, kind,"
                    " opening_cash, cash, realized_pnl, total_trades, total_buys, last_sequence, last_hash,"
                    " created_at) "
                    "SELECT 77, tenant_id, 'Bulk', 'bulk', base_currency, kind, opening_cash, cash,"
                    " realized_pnl, 0, 0, 0, '', created_at FROM portfolios LIMIT 1"
                )
            )
        for table in _CLONED:
            clone_row(connection, table, trade_count + 1, count)


def build_commands(harness, number):
    """Return by name batches of a command each, of a desk that holds and has orders."""

    def origin(name):
        return harness.build_origin(f"{name}-{number}", name)._replace(actor="somebody")

    def trade(name):
        valued = compute_trade_value(Decimal(1), None, Decimal(100))
        return RecordTrade(origin(name), "AAPL", "", Side.BUY, valued, "Growth", "growth", None)

    ticket = build_ticket(quantity="1", client_order_id=f"mine-{number}")
    limit = build_ticket(quantity="1", type="LIMIT", limit_price="90")
    (recorded,) = harness.run(trade("first"))
    resting, other = (harness.place_order(type="LIMIT", limit_price="80", quantity="1") for _ in range(2))
    quote = harness.build_quote("AAPL", "99", "101", "100")._replace(at=harness.now)
    return {
        "a reported trade": [trade("report")],
        "many trades": [trade(f"many-{suffix}") for suffix in range(10)],
        "a reversal": [ReverseTrade(origin("reverse"), recorded.row.trade_id, "twice")],
        "an order": [PlaceOrder(origin("order"), ticket, "Growth", "growth")],
        "a trade for a new portfolio": [
            trade("new")._replace(portfolio_name=f"New {number}", portfolio_name_key=f"new {number}")
        ],
        "a bracket": [
            PlaceOrder(
                origin("bracket"),
                build_ticket(
                    quantity="1", take_profit=TakeProfit(Decimal(120)), stop_loss=StopLoss(Decimal(80))
                ),
                "Growth",
                "growth",
            )
        ],
        "a pair": [PlaceGroup(origin("pair"), GroupKind.OCO, (limit, limit), "Growth", "growth")],
        "a preview": [PreviewOrder(origin("preview"), limit, "Growth", "growth")],
        "a change": [ReplaceOrder(origin("replace"), resting.id, OrderChanges(limit_price=Decimal(81)))],
        "a cancel": [CancelOrder(origin("cancel"), other.id, None)],
        "a close": [ClosePosition(origin("close"), "Growth", "growth", "AAPL", "", Decimal(1), None)],
        "a quote": [MatchQuote(harness.tenant, quote, format_timestamp(harness.now), is_new=True)],
        "an expiry": [ExpireOrders(harness.tenant, format_timestamp(harness.now))],
    }


def count_rows_of_batch(connection, harness, works):
    """Return how many rows a batch reads of each table, and roll it back."""
    with connection.begin() as transaction:
        before = count_reads(connection)
        outcomes = harness.handler.handle(connection, works, {}).outcomes
        assert not any(isinstance(outcome, Exception) for outcome in outcomes), outcomes
        read = subtract_counts(connection, before)
        transaction.rollback()
    harness.restart()
    return read


def count_rows_of_read(connection, look):
    """Return how many rows a read reads of each table."""
    with connection.begin():
        before = count_reads(set_tenant_scope(connection, [1]))
        look(connection)
        return subtract_counts(connection, before)


def subtract_counts(connection, before):
    return {table: rows - before.get(table, 0) for table, rows in count_reads(connection).items()}


def count_reads(connection):
    """Return the reads of this session by table that the server has not added up yet."""
    rows = "coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)"
    row_counts = connection.execute(text(f"SELECT relname, {rows} FROM pg_stat_xact_user_tables"))  # noqa: S608  # ours
    return dict(tuple(row) for row in row_counts)


READS = {
    "a portfolio": lambda connection: load_portfolios_by_name(connection, 1, ["growth"]),
    "orders of a portfolio": lambda connection: list_orders(
        connection, 1, OrderFilter(portfolio_name_key="growth"), 50, None
    ),
    **{
        f"orders by {filters}": partial(list_orders, tenant_id=1, filters=filters, limit=50, after=None)
        for filters in (
            OrderFilter(),
            OrderFilter(is_open=True),
            OrderFilter(statuses=(Status.ACCEPTED,)),
            OrderFilter(statuses=(Status.CANCELED, Status.EXPIRED)),
            OrderFilter(user="nobody"),
            OrderFilter(strategy="nothing"),
            OrderFilter(symbol="AAPL"),
        )
    },
    "trades": lambda connection: list_trades(connection, 1, TradeFilter(), 50, 0, None),
    "symbols with orders": list_instruments_with_open_orders,
    "overdue orders": lambda connection: count_overdue_orders(connection, format_timestamp(START)),
    "symbols kept back": list_instruments_with_held_orders,
    "quotes": lambda connection: load_quotes(connection, [InstrumentKey(1, "AAPL")]),
}


@pytest.mark.parametrize("count", SIZES)
def test_batches_use_indexes_on_large_tables_without_statistics(unanalysed_database, writer, count):
    harness = WriterHarness(unanalysed_database)
    harness.publish_quote("99", "101", "100")
    harness.place_order(quantity="5")
    fill_tables(unanalysed_database, harness, count)
    discard_plans(writer)  # as the writer does every few seconds
    writer.commit()
    too_many = {
        (name, table): rows
        for name, works in build_commands(harness, count).items()
        for table, rows in count_rows_of_batch(writer, harness, works).items()
        if rows > MOST_ROWS
    }
    too_many |= {
        (name, table): rows
        for name, look in READS.items()
        for table, rows in count_rows_of_read(writer, look).items()
        if rows > MOST_ROWS
    }
    assert too_many == {}, "\n".join(f"{where}: {rows}" for where, rows in too_many.items())
