"""The simulated source returns the same quote for a symbol and time in every process."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from app.market_data.rules import walk
from app.market_data.rules.bars import Interval
from app.market_data.sources import SOURCES, AlpacaAccess, SourceNotConfigured, SourceSettings
from app.market_data.sources.manual import ManualSource
from app.market_data.sources.simulated import SimulatedSource

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASK_ELSEWHERE = """
from datetime import datetime, UTC
from app.market_data.sources.simulated import SimulatedSource
print(SimulatedSource("seed").get_quote("AAPL", datetime(2026, 11, 20, 12, tzinfo=UTC)))
"""


@pytest.fixture
def source():
    return SimulatedSource("seed")


def test_another_process_has_the_same_price(source):
    program = [sys.executable, "-c", ASK_ELSEWHERE]
    elsewhere = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    assert elsewhere.stdout.strip() == str(source.get_quote("AAPL", NOON))


def test_another_seed_gives_other_prices(source):
    assert SimulatedSource("other").get_quote("AAPL", NOON) != source.get_quote("AAPL", NOON)


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD", "RELIANCE", "DOGE/USD", "NOBODY", "M&M"])
def test_any_symbol_has_a_valid_quote(source, symbol):
    for hour in range(48):
        quote = source.get_quote(symbol, NOON + timedelta(hours=hour))
        assert 0 < quote.bid < quote.last < quote.ask
        assert quote.ask - quote.bid < quote.last * Decimal("0.01")
        assert (quote.bid_size, quote.ask_size, quote.source) == (None, None, "simulated")


def test_well_known_symbols_stay_around_their_levels(source):
    for day in range(30):
        assert 100 < source.get_quote("AAPL", NOON + timedelta(days=day)).last < 350


@pytest.mark.parametrize(
    ("symbol", "price_symbol"),
    [
        ("BRK-B", "BRK.B"),
        ("BTCUSD", "BTC/USD"),
        ("EURUSD", "EUR/USD"),
        ("BTC-USD", "BTC/USD"),
        ("ETHUSDT", "ETH/USD"),
        ("SOL/USDC", "SOL/USD"),
    ],
)
def test_every_spelling_of_a_symbol_has_one_price(source, symbol, price_symbol):
    assert source.get_quote(symbol, NOON)._replace(symbol=price_symbol) == source.get_quote(
        price_symbol, NOON
    )


def test_unknown_spelling_has_its_own_price(source):
    assert source.get_quote("XYZ-B", NOON).last != source.get_quote("XYZ.B", NOON).last


def test_quote_is_constant_within_its_second(source):
    within = source.get_quote("AAPL", NOON + timedelta(milliseconds=999))
    assert within == source.get_quote("AAPL", NOON)
    assert within.at == NOON
    prices = {source.get_quote("AAPL", NOON + timedelta(seconds=second)).last for second in range(60)}
    assert len(prices) > 5


@pytest.mark.parametrize("interval", Interval)
def test_bars_match_the_walk(source, interval):
    bars = source.get_bars("AAPL", interval, NOON - 3 * interval.length, NOON + timedelta(hours=12))
    assert bars[0].start == NOON - 3 * interval.length or interval is Interval.DAY
    for bar in bars:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.open == source.get_quote("AAPL", bar.start).last
        assert bar.volume > 0


def test_minute_bar_covers_the_prices_of_its_seconds(source):
    (bar,) = source.get_bars("AAPL", Interval.MINUTE, NOON, NOON + timedelta(minutes=1))
    lasts = [source.get_quote("AAPL", NOON + timedelta(seconds=second)).last for second in range(60)]
    assert bar.open == lasts[0]
    assert bar.high == max(lasts)
    assert bar.low == min(lasts)
    assert bar.close == lasts[-1]


def test_longer_bars_match_the_shorter_bars_within(source):
    since, until = NOON - timedelta(days=3, hours=12), NOON - timedelta(days=1, hours=11, seconds=17)
    lasting = [source.get_bars("AAPL", interval, since, until) for interval in Interval]
    for shorter, longer in pairwise(lasting):
        assert (
            shorter[-1].close
            == longer[-1].close
            == source.get_quote("AAPL", until - timedelta(seconds=1)).last
        )
        assert max(bar.high for bar in longer) <= max(bar.high for bar in shorter)
        assert min(bar.low for bar in longer) >= min(bar.low for bar in shorter)
    assert [bar.start for bar in lasting[-1]] == [since, since + timedelta(days=1), since + timedelta(days=2)]


@pytest.mark.parametrize("interval", Interval)
def test_cost_of_a_page_of_bars_is_independent_of_their_length(source, interval, monkeypatch):
    drawn: list[int] = []

    def draw(_: bytes, at: int) -> int:
        drawn.append(at)
        return 0

    monkeypatch.setattr(walk, "_draw", draw)
    assert len(source.get_bars("AAPL", interval, NOON - 101 * interval.length, NOON)) in {100, 101}
    assert len(drawn) < 160 * 100


def test_newest_bar_is_updated_until_its_end(source):
    (young,) = source.get_bars("AAPL", Interval.HOUR, NOON, NOON + timedelta(minutes=5))
    (whole,) = source.get_bars("AAPL", Interval.HOUR, NOON, NOON + timedelta(hours=1))
    assert (young.start, young.open) == (whole.start, whole.open)
    assert young.high <= whole.high


def test_bar_exists_from_its_first_instant(source):
    (bar,) = source.get_bars("AAPL", Interval.MINUTE, NOON, NOON + timedelta(microseconds=1))
    assert bar.open == bar.high == bar.low == bar.close == source.get_quote("AAPL", NOON).last
    assert source.get_bars("AAPL", Interval.MINUTE, NOON, NOON) == []


def test_bars_do_not_exceed_their_end_or_the_first_instant(source):
    assert source.get_bars("AAPL", Interval.DAY, NOON, NOON + timedelta(hours=1)) == []
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    early = source.get_bars("AAPL", Interval.MINUTE, epoch - timedelta(hours=1), epoch + timedelta(minutes=2))
    assert [bar.start for bar in early] == [epoch, epoch + timedelta(minutes=1)]


def test_symbol_cache_size_is_bounded(source, monkeypatch):
    monkeypatch.setattr("app.market_data.sources.simulated._MAX_CACHED_SYMBOLS", 1)
    first = [source.get_quote(symbol, NOON) for symbol in ("AAPL", "MSFT")]
    assert [source.get_quote(symbol, NOON) for symbol in ("AAPL", "MSFT")] == first


def test_unknown_currency_pair_has_no_price(source):
    assert source.get_quote("USD/INR", NOON) is not None
    assert source.get_quote("LINK/USD", NOON) is not None  # no currency: as any other symbol
    for _ in range(2):
        assert source.get_quote("EUR/INR", NOON) is None
    assert source.get_bars("EUR/INR", Interval.DAY, NOON, NOON + timedelta(days=1)) is None


def test_sources_are_found_by_name():
    for name, make in SOURCES.items():
        access = AlpacaAccess("http://127.0.0.1:9", "iex", "key", "secret")
        source = make(SourceSettings("seed", access))
        assert source.name == name
        source.follow(frozenset())


def test_alpaca_source_needs_credentials():
    with pytest.raises(SourceNotConfigured, match="ALPACA_API_KEY"):
        SOURCES["alpaca"](SourceSettings("seed"))


def test_manual_source_has_no_prices_by_itself():
    source = ManualSource()
    assert source.get_quote("AAPL", NOON) is None
    assert source.get_bars("AAPL", Interval.DAY, NOON, NOON) is None
