"""The quotes of a process: given quotes take precedence, quotes have an age, and listeners are notified."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from typing_extensions import override

from app.database import Readers, execute_writes, unit_of_work
from app.instruments.rules import InstrumentKey
from app.market_data import queries
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote
from app.market_data.service import Market
from app.market_data.service.bars import read_bars
from app.market_data.sources.simulated import SimulatedSource

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
AAPL, MSFT = InstrumentKey(1, "AAPL"), InstrumentKey(1, "MSFT")
OTHER_AAPL, OTHER_MSFT = InstrumentKey(2, "AAPL"), InstrumentKey(2, "MSFT")  # of another tenant


class Followed(SimulatedSource):
    """Records the symbols that it must follow."""

    def __init__(self):
        super().__init__("seed")
        self.followed = []

    @override
    def follow(self, symbols):
        self.followed.append(sorted(symbols))


def build_quote(last, at=NOON, symbol="AAPL"):
    return Quote(symbol, None, None, Decimal(last), None, None, at, "manual")


def create_store(engine, *quotes):
    with unit_of_work(engine) as connection:
        execute_writes(connection, *queries.build_quote_writes([(1, quote) for quote in quotes], {}))


@pytest.fixture
def source():
    return Followed()


@pytest.fixture
def market(engine, source):
    readers = Readers(engine, 1)
    yield Market(source, readers)
    readers.close()


def test_given_quote_takes_precedence_over_the_source(engine, market, source):
    create_store(engine, build_quote("5"))
    keys = [AAPL, MSFT]
    with engine.connect() as connection:
        quotes = market.load_quotes(connection, keys, NOON)
    assert quotes == {AAPL: build_quote("5"), MSFT: source.get_quote("MSFT", NOON)}


def test_latest_quote_is_kept(engine, market):
    assert market.get_last_quote(1, "AAPL") is None
    with engine.connect() as connection:
        market.load_quotes(connection, [AAPL], NOON)
    assert market.get_last_quote(1, "AAPL").at == NOON
    market.receive_quote(1, build_quote("7", NOON + SECOND))
    assert market.get_last_quote(1, "AAPL") == build_quote("7", NOON + SECOND)
    assert market.get_last_quote(2, "AAPL") is None


def test_quote_cache_size_is_bounded(engine, market, monkeypatch):
    monkeypatch.setattr("app.market_data.service._MAX_CACHED_QUOTES", 2)
    for symbol in ("A", "B", "C"):
        market.receive_quote(1, build_quote("7", symbol=symbol))
    assert [market.get_last_quote(1, symbol) is None for symbol in ("A", "B", "C")] == [True, True, False]


def test_subscriber_receives_every_new_quote_once(engine, market, source):
    changes = []
    end = market.subscribe([AAPL], lambda tenant_id, quote: changes.append((tenant_id, quote)))
    with engine.connect() as connection:
        for at in (NOON, NOON, NOON + SECOND):
            market.poll(connection, at)
        market.receive_quote(1, build_quote("7"))
        market.receive_quote(1, build_quote("7", symbol="MSFT"))
        market.receive_quote(2, build_quote("7"))
        end()
        end()
        market.poll(connection, NOON + 2 * SECOND)
    market.receive_quote(1, build_quote("8"))
    assert changes == [
        (1, source.get_quote("AAPL", NOON)),
        (1, source.get_quote("AAPL", NOON + SECOND)),
        (1, build_quote("7")),
    ]


def test_source_polls_subscribed_symbols(market, source):
    first = market.subscribe([AAPL, OTHER_AAPL], lambda *_: None)
    second = market.subscribe([MSFT], lambda *_: None)
    first()
    second()
    assert source.followed == [["AAPL"], ["AAPL", "MSFT"], ["MSFT"], []]


def test_source_polls_requested_symbols_until_requests_stop(engine, market, source):
    create_store(engine, build_quote("5"))
    with engine.connect() as connection:
        market.load_quotes(connection, [AAPL, MSFT, OTHER_MSFT], NOON)  # AAPL is given
        market.follow(NOON)
        market.follow(NOON + SECOND)
        market.load_quotes(connection, [OTHER_AAPL], NOON + 300 * SECOND)
    market.follow(NOON + 599 * SECOND)
    market.follow(NOON + 600 * SECOND)
    market.follow(NOON + 900 * SECOND)
    assert source.followed == [["MSFT"], ["AAPL", "MSFT"], ["AAPL"], []]


def test_number_of_polled_symbols_is_bounded(engine, market, source, monkeypatch):
    monkeypatch.setattr("app.market_data.service._MAX_CACHED_QUOTES", 2)
    with engine.connect() as connection:
        for symbol in ("A", "B", "C"):
            market.load_quotes(connection, [InstrumentKey(1, symbol)], NOON)
    market.follow(NOON)
    assert source.followed == [["C"]]


def test_quotes_of_a_batch_are_stored_in_sequence(engine):
    path = [build_quote("100"), build_quote("103", NOON + SECOND), build_quote("98", NOON + 2 * SECOND)]
    create_store(engine, *path, build_quote("50", symbol="MSFT"))
    create_store(engine, build_quote("99", NOON + 3 * SECOND), build_quote("97", NOON + 60 * SECOND))
    hour = timedelta(hours=1)
    with engine.connect() as connection:
        quotes = queries.load_quotes(connection, [AAPL, MSFT, OTHER_AAPL])
        minutes = read_bars(connection, AAPL, Interval.MINUTE, NOON - hour, NOON + hour)
    assert quotes == {
        AAPL: build_quote("97", NOON + 60 * SECOND),
        MSFT: build_quote("50", symbol="MSFT"),
    }
    assert minutes == [
        Bar("AAPL", NOON, *map(Decimal, ("100", "103", "98", "99"))),
        Bar("AAPL", NOON + 60 * SECOND, *map(Decimal, ("97", "97", "97", "97"))),
    ]
