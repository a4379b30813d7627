"""A quote that many orders wait for is stored first and matched in portions, in whatever order they come."""

import asyncio
from decimal import Decimal
from itertools import count
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.calendars.service import Calendars
from app.database import Readers, connect_engine
from app.errors import OmsError
from app.instruments.rules import InstrumentKey
from app.ledger.rules.accounting import Side
from app.ledger.rules.keys import PortfolioKey
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.market_data.queries import load_unmatched_quote_times
from app.market_data.service import Market
from app.orders.errors import PreviousQuoteUnmatched
from app.orders.queries.orders import load_portfolio_keys
from app.orders.rules.values import Status
from app.orders.service import quote_matcher
from app.orders.service.command_results import QuoteStored
from app.orders.service.commands import CancelOrder, PlaceOrder
from app.orders.service.internal_commands import FinishQuote, MatchQuote
from app.orders.service.market_watcher import MATCH_GRACE, MarketWatcher
from app.orders.service.quote_matcher import QuoteMatcher
from app.orders.service.write_path import lock_plan
from app.text import name_key
from app.timestamps import format_timestamp
from app.verify import verify_database
from tests.orders.writer_harness import WriterHarness, build_ticket

BOOKS = ("A", "B", "C")
PRICES = st.sampled_from(["88", "90", "92", "95"])
RESTING_LIMIT_ORDER = {"type": "LIMIT", "time_in_force": "GTC"}


class Writer:
    """Carries out commands at once, one in a transaction; it dies after `left` of them."""

    def __init__(self, harness, executions_left=None):
        self.harness, self.executions_left, self.sent = harness, executions_left, []

    def submit_all(self, commands):
        return [self._run(command) for command in commands]

    async def _run(self, command):
        if self.executions_left == 0:
            raise ConnectionError("killed")
        self.executions_left = None if self.executions_left is None else self.executions_left - 1
        self.sent.append(command)
        (outcome,) = self.harness.run(command)
        if isinstance(outcome, OmsError):
            raise outcome
        return outcome


@pytest.fixture
def small_portions(monkeypatch):
    """Match at most two orders of a quote in one transaction."""
    monkeypatch.setattr(lock_plan, "MAX_MATCHES", 2)
    monkeypatch.setattr(quote_matcher, "MAX_MATCHES", 2)


@pytest.fixture
def readers(engine):
    readers = Readers(engine, 1)
    yield readers
    readers.close()


def publish_quote(harness, bid="89", ask="90", symbol="AAPL", **sizes):
    harness.advance_clock()
    quote = harness.build_quote(symbol, bid, ask, ask)._replace(
        **{name: Decimal(size) for name, size in sizes.items()}
    )
    return MatchQuote(harness.tenant, quote, format_timestamp(harness.now), is_new=True)


def place_resting_orders(harness):
    return [
        harness.place_order(name, limit_price="91", **RESTING_LIMIT_ORDER) for name in BOOKS for _ in range(2)
    ]


def create_matcher(harness, readers, writer):
    return QuoteMatcher(cast("Any", writer), readers, Market(harness.source, readers), lambda: harness.now)


def count_unmatched(harness, symbol="AAPL"):
    with harness.engine.connect() as connection:
        return load_unmatched_quote_times(connection, [InstrumentKey(harness.tenant, symbol)])


def list_statuses(harness, orders):
    return {harness.get_order(order).status for order in orders}


def test_quote_with_many_orders_is_matched_portfolio_by_portfolio(harness, small_portions, readers):
    orders, writer = place_resting_orders(harness), Writer(harness)
    asyncio.run(
        create_matcher(harness, readers, writer).publish(harness.tenant, publish_quote(harness).quote)
    )
    portions = [
        command.portfolio_keys
        for command in writer.sent
        if isinstance(command, MatchQuote) and not command.is_new
    ]
    assert [len(portion or ()) for portion in portions] == [1, 1, 1]
    assert list_statuses(harness, orders) == {Status.FILLED}
    assert count_unmatched(harness) == {}
    assert verify_database(harness.engine).is_clean


@pytest.mark.parametrize("executions_left", [1, 2, 3, 4])
def test_unmatched_portions_of_a_killed_process_are_matched_by_another(
    harness, small_portions, readers, executions_left
):
    orders = place_resting_orders(harness)
    with pytest.raises(ConnectionError):
        asyncio.run(
            create_matcher(harness, readers, Writer(harness, executions_left)).publish(
                harness.tenant, publish_quote(harness).quote
            )
        )
    assert count_unmatched(harness)
    harness.restart()
    assert verify_database(harness.engine).is_clean
    harness.advance_clock(seconds=MATCH_GRACE.total_seconds())
    market = Market(harness.source, readers)
    watcher = MarketWatcher(
        readers, cast("Any", Writer(harness)), market, lambda: harness.now, Calendars.load()
    )
    asyncio.run(watcher.check())
    assert (list_statuses(harness, orders), count_unmatched(harness)) == ({Status.FILLED}, {})
    assert verify_database(harness.engine).is_clean


def test_quote_waits_until_the_previous_quote_is_matched(harness, small_portions, readers):
    orders = place_resting_orders(harness)
    assert harness.run(publish_quote(harness)) == [QuoteStored()]
    (refused,) = harness.run(publish_quote(harness, "99", "100"))
    assert isinstance(refused, PreviousQuoteUnmatched)
    asyncio.run(
        create_matcher(harness, readers, Writer(harness)).publish(
            harness.tenant, publish_quote(harness, "99", "100").quote
        )
    )
    assert list_statuses(harness, orders) == {Status.FILLED}


def test_command_sees_its_portfolio_after_the_quote_is_matched(harness, small_portions):
    orders = place_resting_orders(harness)
    harness.run(publish_quote(harness))
    harness.cancel(orders[0])
    assert [harness.get_order(order).status for order in orders] == [Status.FILLED] * 2 + [
        Status.ACCEPTED
    ] * 4


def record_trade(harness, name, quantity="1"):
    origin = CommandOrigin(harness.tenant, "key", None, harness.now, None, None)
    valued = compute_trade_value(Decimal(quantity), Decimal(100), None)
    return RecordTrade(origin, "MSFT", "", Side.BUY, valued, name, name_key(name), None)


@pytest.mark.parametrize("with_an_order", [False, True])
def test_trade_is_recorded_after_its_portfolio_is_matched(harness, small_portions, with_an_order):
    """The ledger has the fills of the quote before a trade that was reported after it."""
    orders = place_resting_orders(harness)
    harness.run(publish_quote(harness))
    other_commands = [CancelOrder(harness.build_origin(), orders[4].id, None)] if with_an_order else []
    recorded, *_ = harness.run(record_trade(harness, "A"), *other_commands)
    assert recorded.row.sequence == 3
    matched = 4 if with_an_order else 2
    assert [harness.get_order(order).status for order in orders[:2]] == [Status.FILLED] * 2
    assert [harness.get_order(order).status for order in orders].count(Status.FILLED) == matched
    assert count_unmatched(harness)
    assert verify_database(harness.engine).is_clean


def test_trade_in_a_portfolio_without_orders_matches_nothing(harness, small_portions):
    place_resting_orders(harness)
    harness.run(publish_quote(harness))
    first, second = harness.run(record_trade(harness, "Other"), record_trade(harness, "Other", "2"))
    assert (first.row.sequence, second.row.sequence) == (1, 2)


@pytest.fixture(scope="module")
def replayed_engine(new_database):
    engine = connect_engine(new_database("sqlite"))
    yield engine, count()
    engine.dispose()


ORDER = st.tuples(
    st.sampled_from(BOOKS), st.sampled_from(["BUY", "SELL"]), PRICES, st.sampled_from(["1", "3"])
)
STEP = st.sampled_from(["portion"]) | ORDER | st.integers(0, 9)


@settings(max_examples=10)
@given(
    st.lists(ORDER, min_size=4, max_size=10),
    st.permutations(BOOKS),
    st.lists(STEP, max_size=8),
    st.booleans(),
)
def test_portion_sequence_does_not_change_the_result(replayed_engine, resting, books, steps, has_sizes):
    """Commands in between see their portfolio as if the quote had met all orders when it was stored."""
    engine, numbers = replayed_engine
    results = [run_steps(engine, next(numbers), resting, books, steps, has_sizes, most) for most in (100, 2)]
    assert results[0] == results[1]
    assert verify_database(engine).is_clean


def run_steps(engine, number, resting, books, steps, has_sizes, most):
    """Return the orders and positions after the orders rest, the quote comes, and the steps are taken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock_plan, "MAX_MATCHES", most)
        harness, symbol = WriterHarness(engine), f"S{number}"
        harness.publish_quote("91", "91", "91", symbol)
        orders = [create_place_order(harness, symbol, number, *terms) for terms in resting]
        command = publish_quote(
            harness, "90", "92", symbol, **({"bid_size": "4", "ask_size": "4"} if has_sizes else {})
        )
        (outcome,) = harness.run(command)
        unmatched = list(books) if outcome == QuoteStored() else []
        for step in steps:
            harness.advance_clock()
            if isinstance(step, int):
                harness.run(CancelOrder(harness.build_origin(), orders[step % len(orders)].id, None))
            elif isinstance(step, tuple):
                orders.append(create_place_order(harness, symbol, number, *step))
            elif unmatched:
                match_quote(harness, command, orders, unmatched.pop(), number)
        for book in unmatched:
            match_quote(harness, command, orders, book, number)
        harness.run(FinishQuote(harness.tenant, symbol, command.at))
        assert count_unmatched(harness, symbol) == {}
        positions = harness.query(
            "SELECT portfolios.name, symbol, quantity, cost FROM positions"
            " JOIN portfolios ON portfolios.id = portfolio_id ORDER BY 1"
        )
        ended = [harness.get_order(order) for order in orders]
        positions_of_symbol = [
            (name.split()[0], *amounts) for name, traded, *amounts in positions if traded == symbol
        ]
        return positions_of_symbol, [
            (order.status, order.filled_quantity, order.filled_value) for order in ended
        ]


def create_place_order(harness, symbol, number, book, side, price, quantity):
    name = f"{book} {number}"
    harness.open_portfolio(name)
    ticket = build_ticket(
        symbol=symbol, side=side, limit_price=price, quantity=quantity, **RESTING_LIMIT_ORDER
    )
    return harness.run_order_command(
        PlaceOrder(harness.build_origin(request_text=repr(ticket)), ticket, name, name_key(name))
    )


def match_quote(harness, command, orders, book, number):
    with harness.engine.connect() as connection:
        keys = load_portfolio_keys(connection, [order.key for order in orders])
        names_by_id = {row[1]: row[0] for row in harness.query("SELECT id, name FROM portfolios")}
    portfolio_key = PortfolioKey(harness.tenant, names_by_id.get(f"{book} {number}", 0))
    if portfolio_key in keys.values():
        harness.run(command._replace(is_new=False, portfolio_keys=(portfolio_key,)))
