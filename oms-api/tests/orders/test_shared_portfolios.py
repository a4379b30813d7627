"""Two processes change the same portfolios in turn: what each keeps of them equals what a new one reads.

Each reads only what the other changed.
"""

from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.database import connect_engine, unit_of_work
from app.ledger.queries import batch_statements as queries
from app.ledger.rules.accounting import Side
from app.ledger.rules.keys import PositionKey
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.orders.queries import orders as order_queries
from app.orders.rules.values import StopLoss, TakeProfit
from app.orders.service.batch_state.portfolio_loading import create_cache_update
from app.orders.service.commands import CancelOrder, PreviewOrder
from app.orders.service.risk_checks.exposure import build_book, compute_exposure
from app.orders.service.write_path.batch_loading import load_batch
from app.text import name_key
from tests.orders.writer_harness import WriterHarness, build_ticket

SYMBOLS = st.sampled_from(["AAPL", "MSFT"])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.sampled_from(["95", "100", "105"])
OLDEST_OPEN = (
    "SELECT id FROM orders WHERE tenant_id = :tenant AND status NOT IN "
    "('FILLED', 'CANCELED', 'EXPIRED', 'REPLACED', 'DENIED', 'REJECTED') ORDER BY id"
)
STEP = st.one_of(
    st.tuples(st.just("rest"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("trail"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("bracket"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("cancel"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("fill"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("trade"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("quote"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("lose"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("list"), SYMBOLS, SIDES, PRICES),
)


@pytest.fixture(scope="module")
def shared_database(backend, new_database):
    engine = connect_engine(new_database(backend))
    yield engine, count()
    engine.dispose()


@settings(max_examples=10)
@given(st.lists(st.tuples(st.booleans(), STEP), min_size=3, max_size=8))
def test_cached_state_equals_the_state_that_a_new_process_reads(shared_database, steps):
    engine, numbers = shared_database
    name = f"Growth {next(numbers)}"
    processes = [WriterHarness(engine), WriterHarness(engine)]
    processes[0].open_portfolio(name)
    for symbol in ("AAPL", "MSFT"):
        processes[0].publish_quote("99", "101", "100", symbol)
    for is_second, step in steps:
        take_step(processes[is_second], name, *step)
        processes[not is_second].now = processes[is_second].now
        portfolios = [read_portfolio(process, name) for process in processes]
        assert portfolios == [read_portfolio(WriterHarness(engine, now=processes[0].now), name)] * 2


@pytest.mark.parametrize("is_same_order", [True, False])
def test_process_reads_only_changes_of_another_process(shared_database, monkeypatch, is_same_order):
    engine, numbers = shared_database
    name = f"Growth {next(numbers)}"
    here, there = WriterHarness(engine), WriterHarness(engine)
    here.open_portfolio(name)
    for symbol in ("AAPL", "MSFT"):
        here.publish_quote("99", "101", "100", symbol)
        here.place_order(name, symbol=symbol)
    here.advance_clock()
    resting = [here.place_order(name, type="LIMIT", limit_price="90", quantity=str(1 + n)) for n in range(4)]
    for process in (here, there):
        process.now = here.now
        read_portfolio(process, name)
    there.advance_clock()
    there.place_order(name, symbol="MSFT", quantity="1")
    if is_same_order:
        there.cancel(resting[0])
    else:
        resting.append(there.place_order(name, type="LIMIT", limit_price="89"))
    read: dict[str, list[Any]] = {"orders": [], "positions": []}
    record_query_results(monkeypatch, order_queries, "load_orders_by_id", read["orders"])
    record_query_results(monkeypatch, queries, "load_positions_since", read["positions"])
    here.now = there.now
    read_portfolio(here, name)
    changed = [] if is_same_order else resting[-1:]
    still_open = resting[1:] if is_same_order else resting
    is_sqlite = engine.dialect.name == "sqlite"  # which has no versions of rows
    assert sorted(order.id for order in read["orders"]) == [
        order.id for order in (still_open if is_sqlite else changed)
    ]
    assert [key.symbol for key, _ in read["positions"]] == ["MSFT"]
    read["orders"].clear()
    read["positions"].clear()
    read_portfolio(here, name)
    assert read == {"orders": [], "positions": []}


def test_order_that_ends_at_once_leaves_cached_open_orders_current(shared_database):
    engine, numbers = shared_database
    name = f"Growth {next(numbers)}"
    harness = WriterHarness(engine)
    harness.open_portfolio(name)
    harness.list_instrument("AAPL", "NASDAQ")
    harness.publish_quote("99", "101", "100")
    harness.place_order(name, type="LIMIT", limit_price="90")
    query = "SELECT orders_stamp FROM portfolios WHERE tenant_id = :tenant ORDER BY id DESC"
    before = harness.query(query)
    assert harness.place_order(name, quantity="1").status == "FILLED"
    assert harness.place_order(name, quantity="1.5").status == "DENIED"
    assert harness.query(query) == before
    harness.place_order(name, type="LIMIT", limit_price="90", quantity="2")
    assert harness.query(query) != before


def record_query_results(monkeypatch, module, name, results):
    """Add the rows of a query to `results`."""
    query = getattr(module, name)

    def watched(*arguments):
        rows = query(*arguments)
        results.extend(rows)
        return rows

    monkeypatch.setattr(module, name, watched)


def take_step(harness, name, kind, symbol, side, price):
    """Take a step. `lose` rolls the transaction of a fill back."""
    harness.advance_clock()
    resting = {"limit_price": price, "time_in_force": "GTC", "type": "LIMIT"}
    exits = {"take_profit": TakeProfit(Decimal(200)), "stop_loss": StopLoss(Decimal(10))}
    placed = {
        "rest": resting | {"side": side},
        "trail": {"type": "TRAILING_STOP", "trail_amount": "3", "time_in_force": "GTC", "side": side},
        "bracket": resting | exits,
    }
    if kind in placed:
        harness.place_order(name, symbol=symbol, quantity="1", **placed[kind])
    elif kind == "cancel":
        for row in harness.query(OLDEST_OPEN)[:1]:
            harness.run(CancelOrder(harness.build_origin(), row[0], None))
    elif kind == "fill":
        harness.place_order(name, symbol=symbol, side=side, quantity="2")
    elif kind == "quote":
        harness.publish_quote(price, price, price, symbol)
    elif kind == "list":
        harness.list_instrument(symbol, "XNSE" if side == "BUY" else "NASDAQ")
    elif kind == "trade":
        harness.run(record_trade(harness, name, symbol, side, price), preview_order(harness, name))
    else:
        with (
            harness.engine.connect().execution_options(writes=True) as connection,
            connection.begin() as lost,
        ):
            harness.handler.handle(
                connection,
                [record_trade(harness, name, symbol, side, price), preview_order(harness, name)],
                {},
            )
            lost.rollback()


def record_trade(harness, name, symbol, side, price):
    origin = CommandOrigin(harness.tenant, "key", None, harness.now, None, None)
    valued = compute_trade_value(Decimal(3), None, Decimal(price))
    return RecordTrade(origin, symbol, "", Side(side), valued, name, name_key(name), None)


def preview_order(harness, name):
    return PreviewOrder(harness.build_origin(), build_ticket(), name, name_key(name))


def read_portfolio(harness, name):
    """Return positions, open orders, total and the books that are not empty, as the next order sees them."""
    with unit_of_work(harness.engine) as connection:
        context, _ = load_batch(
            harness.recording, harness.services, connection, [preview_order(harness, name)], {}
        )
        (portfolio_key,) = context.order_store.portfolio_keys
        exposure = compute_exposure(context, portfolio_key)
        valued = {key: valuation.book for key, valuation in exposure.valuations.items()}
        books = {key: book for key, book in valued.items() if book.position or book.orders}
        for key, book in books.items():  # risk checks use them instead of new ones
            position_key = PositionKey(harness.tenant, portfolio_key.portfolio_id, key.symbol, key.product)
            in_symbol = context.order_store.list_open_orders_of_symbol(portfolio_key, key.symbol)
            assert book == build_book(context, position_key, in_symbol)
        positions = dict(context.ledger.get_positions(portfolio_key))
        orders = {order.id: order for order in context.order_store.list_open_orders(portfolio_key)}
        assert list(orders) == sorted(orders)
        update = create_cache_update(context)
    update()
    return positions, orders, exposure.total, books
