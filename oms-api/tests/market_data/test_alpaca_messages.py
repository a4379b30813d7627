"""Alpaca's market data is parsed exactly, and malformed parts are left out."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.market_data.rules.alpaca_messages import is_pair, parse_bars, parse_quotes
from app.market_data.rules.bars import Interval

AT = "2026-11-27T15:00:00.123456789Z"


def read_message(text):
    return json.loads(text, parse_float=Decimal)


def test_quotes_have_exact_prices_and_no_sizes():
    (quote,) = parse_quotes(
        read_message(f'{{"quotes":{{"AAPL":{{"t":"{AT}","bp":189.1234,"ap":190,"bs":1,"as":2}}}}}}')
    )
    assert (quote.bid, quote.ask, quote.last) == (Decimal("189.1234"), Decimal(190), None)
    assert (quote.bid_size, quote.ask_size, quote.source) == (None, None, "alpaca")
    assert quote.at == datetime(2026, 11, 27, 15, 0, 0, 123456, UTC)


def test_side_without_a_price_is_unknown():
    (quote,) = parse_quotes({"quotes": {"AAPL": {"t": "2026-11-27T15:00:00", "bp": 0, "ap": 190}}})
    assert (quote.bid, quote.ask) == (None, Decimal(190))


@pytest.mark.parametrize(
    "quote",
    [
        [],
        {},
        {"quotes": None},
        {"quotes": {"AAPL": None}},
        {"quotes": {"AAPL": {"t": AT, "bp": 0, "ap": 0}}},
        {"quotes": {"AAPL": {"t": "today", "bp": 1, "ap": 2}}},
        {"quotes": {"AAPL": {"bp": 1, "ap": 2}}},
        {"quotes": {"AAPL": {"t": AT, "bp": "1", "ap": True}}},
    ],
)
def test_malformed_quotes_are_left_out(quote):
    assert parse_quotes(quote) == []


@pytest.mark.parametrize("is_by_symbol", [True, False])
def test_bars_begin_at_multiples_of_their_length(is_by_symbol):
    bars = [{"t": "2026-11-27T05:00:00Z", "o": 99, "h": 101, "l": 98, "c": 100, "v": 0}]
    (bar,) = parse_bars({"bars": {"SPY": bars} if is_by_symbol else bars}, "SPY", Interval.DAY)
    assert bar.start == datetime(2026, 11, 27, tzinfo=UTC)
    assert bar.open == Decimal(99)
    assert bar.high == Decimal(101)
    assert bar.low == Decimal(98)
    assert bar.close == Decimal(100)
    assert bar.volume is None


@pytest.mark.parametrize("bars", [None, {}, "bars", [None], [{"t": AT, "o": 1, "h": 1, "l": 1}]])
def test_malformed_bars_are_left_out(bars):
    assert parse_bars({"bars": bars}, "SPY", Interval.DAY) == []
    assert parse_bars([], "SPY", Interval.DAY) == []


def test_pairs_are_recognized_by_the_slash():
    assert is_pair("BTC/USD")
    assert not is_pair("BRK.B")
