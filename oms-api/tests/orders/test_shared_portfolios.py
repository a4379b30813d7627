"""Two processes change the same portfolios in turn: what each keeps of them equals what a new one reads."""

from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.database import connect_engine, unit_of_work
from app.ledger.rules.accounting import Side
from app.ledger.rules.tickets import value_trade
from app.ledger.service.commands import Origin, RecordTrade
from app.orders.service.commands import PreviewOrder
from app.orders.service.exposure import exposure_in
from app.text import name_key
from tests.orders.rig import Rig, ticket

SYMBOLS = st.sampled_from(["AAPL", "MSFT"])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.sampled_from(["95", "100", "105"])
STEP = st.one_of(
    st.tuples(st.just("rest"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("fill"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("trade"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("quote"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("lose"), SYMBOLS, SIDES, PRICES),
    st.tuples(st.just("list"), SYMBOLS, SIDES, PRICES),
)


@pytest.fixture(scope="module")
def shared(new_database):
    engine = connect_engine(new_database("sqlite"))
    yield engine, count()
    engine.dispose()


@settings(max_examples=10)
@given(st.lists(st.tuples(st.booleans(), STEP), min_size=3, max_size=8))
def test_exposure_kept_by_a_process_equals_that_of_a_new_process(shared, steps):
    engine, numbers = shared
    name = f"Growth {next(numbers)}"
    processes = [Rig(engine), Rig(engine)]
    processes[0].open_portfolio(name)
    for symbol in ("AAPL", "MSFT"):
        processes[0].quote("99", "101", "100", symbol)
    for is_second, step in steps:
        take(processes[is_second], name, *step)
        processes[not is_second].now = processes[is_second].now
        kept = [exposure_of(process, name) for process in processes]
        assert kept == [exposure_of(Rig(engine, now=processes[0].now), name)] * 2


def take(rig, name, kind, symbol, side, price):
    """Take a step. `lose` rolls the transaction of a fill back."""
    rig.tick()
    waiting = {"type": "LIMIT", "limit_price": price, "time_in_force": "GTC"}
    if kind == "rest":
        rig.place(name, symbol=symbol, side=side, quantity="1", **waiting)
    elif kind == "fill":
        rig.place(name, symbol=symbol, side=side, quantity="2")
    elif kind == "quote":
        rig.quote(price, price, price, symbol)
    elif kind == "list":
        rig.list_instrument(symbol, "XNSE" if side == "BUY" else "NASDAQ")
    elif kind == "trade":
        rig.run(trade(rig, name, symbol, side, price), preview(rig, name))
    else:
        with rig.engine.connect().execution_options(writes=True) as connection, connection.begin() as lost:
            rig.floor.handle(connection, [trade(rig, name, symbol, side, price), preview(rig, name)], {})
            lost.rollback()


def trade(rig, name, symbol, side, price):
    origin = Origin(rig.tenant, "key", None, rig.now, None, None)
    valued = value_trade(Decimal(3), None, Decimal(price))
    return RecordTrade(origin, symbol, "", Side(side), valued, name, name_key(name), None)


def preview(rig, name):
    return PreviewOrder(rig.origin(), ticket(), name, name_key(name))


def exposure_of(rig, name):
    """Return the total and the books that are not empty, as the next order of the process sees them."""
    with unit_of_work(rig.engine) as connection:
        context, _, _ = rig.floor._load_context(connection, [preview(rig, name)], {})
        (portfolio_key,) = context.order_store.portfolio_keys
        exposure = exposure_in(context, portfolio_key)
        books = {key: book for key, book in exposure.books.items() if book.position or book.orders}
        context.update_caches()
        return exposure.total, books
