"""Bars are built from quotes and from shorter bars."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market_data.rules.bars import (
    Interval,
    combine_bars,
    extend_bar,
    fold_quotes,
    get_bar_start,
    get_traded_price,
)
from app.market_data.rules.values import Bar, Quote

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def build_quote(last, at=NOON, bid=None, ask=None):
    prices = (None if price is None else Decimal(price) for price in (bid, ask, last))
    return Quote._make(("X", *prices, None, None, at, "test"))


def build_bar(prices, minute=0, volume=None):
    amounts = map(Decimal, prices.split("/"))
    start = NOON + timedelta(minutes=minute)
    return Bar._make(("X", start, *amounts, None if volume is None else Decimal(volume)))


@pytest.mark.parametrize(
    ("interval", "start"),
    [
        (Interval.MINUTE, "2026-11-20T13:47:00Z"),
        (Interval.FIVE_MINUTES, "2026-11-20T13:45:00Z"),
        (Interval.FIFTEEN_MINUTES, "2026-11-20T13:45:00Z"),
        (Interval.HOUR, "2026-11-20T13:00:00Z"),
        (Interval.DAY, "2026-11-20T00:00:00Z"),
    ],
)
def test_bars_start_at_multiples_of_their_length(interval, start):
    within = datetime(2026, 11, 20, 13, 47, 59, 999_999, tzinfo=UTC)
    assert get_bar_start(within, interval) == datetime.fromisoformat(start)
    assert get_bar_start(get_bar_start(within, interval), interval) == datetime.fromisoformat(start)


def test_bar_is_built_from_quotes():
    bar = None
    for second, last in enumerate(("100", "103", "98", "101")):
        bar = extend_bar(bar, build_quote(last, NOON + timedelta(seconds=second)))
    assert bar == build_bar("100/103/98/101")


@pytest.mark.parametrize(
    ("quote_fields", "price"),
    [
        (build_quote("100", bid="90", ask="91"), "100"),
        (build_quote(None, bid="90", ask="91"), "90.5"),
        (build_quote(None, bid="90"), "90"),
        (build_quote(None, ask="91"), "91"),
    ],
)
def test_bar_price_is_the_last_price_then_midpoint_then_single_side(quote_fields, price):
    assert get_traded_price(quote_fields) == Decimal(price)


def test_quote_without_a_price_raises_an_error():
    with pytest.raises(ValueError, match="at least one price"):
        get_traded_price(build_quote(None))


def test_minute_bars_are_merged_into_longer_bars_and_gaps_remain():
    minutes = [
        build_bar("100/103/99/101", 0, "5"),
        build_bar("101/102/97/98", 4),
        build_bar("98/99/98/99", 15, "7"),
    ]
    assert combine_bars(minutes, Interval.FIVE_MINUTES) == [
        build_bar("100/103/97/98", 0, "5"),
        build_bar("98/99/98/99", 15, "7"),
    ]


def test_unknown_volume_stays_unknown():
    assert combine_bars([build_bar("1/1/1/1"), build_bar("1/1/1/1", 1)], Interval.HOUR) == [
        build_bar("1/1/1/1")
    ]


paths = st.lists(st.integers(1, 500), min_size=1, max_size=120)


@given(paths)
def test_merging_keeps_open_close_high_low_and_volume(path):
    minutes = [
        build_bar(f"{price}/{price + 1}/{price}/{price + 1}", at, "2") for at, price in enumerate(path)
    ]
    hours = combine_bars(minutes, Interval.HOUR)
    assert (hours[0].open, hours[-1].close) == (minutes[0].open, minutes[-1].close)
    assert max(hour.high for hour in hours) == max(minute.high for minute in minutes)
    assert min(hour.low for hour in hours) == min(minute.low for minute in minutes)
    assert sum(hour.volume for hour in hours if hour.volume) == 2 * len(path)


@given(paths)
def test_merging_in_steps_equals_merging_at_once(path):
    minutes = [build_bar(f"{price}/{price}/{price}/{price}", at) for at, price in enumerate(path)]
    assert combine_bars(combine_bars(minutes, Interval.FIFTEEN_MINUTES), Interval.HOUR) == combine_bars(
        minutes, Interval.HOUR
    )


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 200)), max_size=30))
def test_folded_quotes_equal_bars_extended_one_by_one(points):
    quotes, at = [], NOON
    for seconds, price in points:
        at += timedelta(seconds=seconds)
        quotes.append(build_quote(price, at))
    bars: dict[datetime, Bar] = {}
    for quote in quotes:
        start = get_bar_start(quote.at, Interval.MINUTE)
        bars[start] = extend_bar(bars.get(start), quote)
    assert fold_quotes(quotes) == list(bars.values())
