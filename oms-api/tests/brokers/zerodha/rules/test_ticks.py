"""The binary frames of the ticker socket are read as Zerodha's SDK reads them, but exactly."""

import struct
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kiteconnect import KiteTicker  # type: ignore[import-untyped]

from app.brokers.zerodha.rules.ticks import (
    MalformedFrame,
    Tick,
    index_tokens_by_symbol,
    merge_tick,
    parse_frame,
)
from tests.brokers.standins.kite.exchange import LISTINGS
from tests.brokers.standins.kite.ticks import build_frame, build_packet
from tests.brokers.standins.kite.values import Quote

AT = datetime(2026, 11, 27, 9, 15, tzinfo=UTC)
QUOTE = Quote(Decimal("1520.10"), Decimal("1520.30"), Decimal(40), Decimal(50))
BY_SYMBOL = {(listing.exchange, listing.symbol): listing for listing in LISTINGS}
RELIANCE, NIFTY, DOLLAR = (
    BY_SYMBOL[key] for key in (("NSE", "RELIANCE"), ("NSE", "NIFTY 50"), ("CDS", "USDINR26DECFUT"))
)
OFFICIAL_PARSER = KiteTicker("key", "token")


def parse_ticks(*packets):
    return parse_frame(build_frame(packets))


@pytest.mark.parametrize("mode", ["ltp", "quote"])
@pytest.mark.parametrize("listing", [RELIANCE, NIFTY])
def test_short_packets_have_the_last_price_only(listing, mode):
    assert parse_ticks(build_packet(listing, QUOTE, mode, AT)) == [Tick(listing.token, Decimal("1520.20"))]


def test_full_packet_has_the_best_bid_and_ask():
    assert parse_ticks(build_packet(RELIANCE, QUOTE, "full", AT)) == [
        Tick(RELIANCE.token, Decimal("1520.20"), QUOTE.bid, QUOTE.ask, Decimal(40), Decimal(50), AT)
    ]
    assert parse_ticks(build_packet(NIFTY, QUOTE, "full", AT)) == [
        Tick(NIFTY.token, Decimal("1520.20"), at=AT)
    ]


def test_currencies_have_seven_decimals():
    quote = QUOTE._replace(bid=Decimal("88.5950000"), ask=Decimal("88.5975000"))
    (tick,) = parse_ticks(build_packet(DOLLAR, quote, "full", AT))
    assert (tick.bid, tick.ask, tick.last) == (quote.bid, quote.ask, Decimal("88.59625"))
    units = struct.pack(">II", 1 << 8 | 6, 885_950)  # the BSE's currency segment has four
    assert parse_ticks(units) == [Tick(1 << 8 | 6, Decimal("88.5950"))]


def test_absent_prices_and_times_are_none():
    empty = Quote(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    (tick,) = parse_ticks(build_packet(RELIANCE, empty, "full", datetime.fromtimestamp(0, UTC)))
    assert tick == Tick(RELIANCE.token, None)


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
@pytest.mark.parametrize("listing", [RELIANCE, NIFTY, DOLLAR])
def test_official_sdk_reads_the_same_prices(listing, mode):
    quote = QUOTE._replace(bid=QUOTE.bid / 20, ask=QUOTE.ask / 20)
    frame = build_frame([build_packet(listing, quote, mode, AT)] * 2)
    for tick, body in zip(parse_frame(frame), OFFICIAL_PARSER._parse_binary(frame), strict=True):
        assert (tick.token, float(tick.last or 0)) == (body["instrument_token"], body["last_price"])
        if "depth" in body:
            assert float(tick.bid or 0) == body["depth"]["buy"][0]["price"]
            assert float(tick.ask or 0) == body["depth"]["sell"][0]["price"]
            assert tick.ask_size == body["depth"]["sell"][0]["quantity"]


def test_heartbeat_has_no_ticks():
    assert parse_frame(b"\0") == parse_frame(b"") == []


@given(st.binary(min_size=2, max_size=300))
def test_any_other_frame_is_malformed_or_read(frame):
    with suppress(MalformedFrame):
        assert all(isinstance(tick, Tick) for tick in parse_frame(frame))


@pytest.mark.parametrize("frame", [b"\0\1", b"\0\1\0\x08abc", b"\0\1\0\x03abc"])
def test_frame_that_is_cut_is_malformed(frame):
    with pytest.raises(MalformedFrame):
        parse_frame(frame)


def test_short_packet_keeps_bid_and_ask():
    full = Tick(1, Decimal(9), Decimal(8), Decimal(10), Decimal(1), Decimal(1), AT)
    assert merge_tick({1: full}, Tick(1, Decimal(11))) == full._replace(last=Decimal(11))
    assert merge_tick({}, Tick(1, Decimal(11))) == Tick(1, Decimal(11))
    assert merge_tick({1: full}, full) == full


def test_first_exchange_of_a_symbol_counts():
    dump = [
        "instrument_token,exchange_token,tradingsymbol,exchange", "2,1,RELIANCE,BSE", "1,1,RELIANCE,NSE",
        "3,1,RELIANCE,BSE", "4,1,GOLD,MCX", "x,1,BAD,NSE", "5,1,OTHER,NYSE", "6,1,,NSE",
    ]  # fmt: skip
    assert index_tokens_by_symbol(dump, ("NSE", "BSE", "MCX")) == {"RELIANCE": 1, "GOLD": 4}
