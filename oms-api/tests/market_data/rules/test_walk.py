"""The simulated random walk gives the same price for the same instant, in any order of calls."""

from itertools import pairwise
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market_data.rules.base_prices import BASE_PRICES, find_base_price, get_base_symbol
from app.market_data.rules.walk import SPAN_SECONDS, UNIT, compute_deviation, compute_deviations

KEY = b"a key of the walk"
seconds = st.integers(0, 4_000_000_000)
PINNED = [-15_995_983, -16_063_220, -852_571]


def test_walk_matches_recorded_values():
    """A change of these values changes all simulated prices of users."""
    assert [compute_deviation(KEY, second) for second in (0, 1, 1_790_000_000)] == PINNED


@given(seconds, st.sampled_from([1, 4, 16, 128]), st.integers(1, 300))
def test_range_extremes_match_single_prices(second, step, count):
    start = second // step * step
    end = start + count * step
    assert compute_deviations(KEY, start, end, step) == [
        compute_deviation(KEY, at) for at in range(start, end, step)
    ]


@given(seconds, st.integers(1, 1000))
def test_range_may_end_between_two_points(second, length):
    start = second // 16 * 16
    assert len(compute_deviations(KEY, start, start + length, 16)) == -(-length // 16)


def test_range_may_cross_anchors():
    start = 3 * SPAN_SECONDS - 256
    deviations = compute_deviations(KEY, start, start + 512, 128)
    assert deviations == [compute_deviation(KEY, start + step * 128) for step in range(4)]


@given(seconds)
def test_prices_stay_positive_at_any_volatility(second):
    assert abs(compute_deviation(KEY, second)) * 3 < UNIT


def test_steps_scale_with_the_square_root_of_time():
    """Over a second about 0.0055% (2% in a span), over a minute some eight times that."""
    path = compute_deviations(KEY, 1_790_001_152, 1_790_001_152 + 60_000, 1)
    second = pstdev(later - now for now, later in pairwise(path))
    minute = pstdev(later - now for now, later in zip(path, path[60:], strict=False))
    assert 40_000 < second < 70_000
    assert 4 < minute / second < 12


def test_walk_has_no_drift():
    anchors = [compute_deviation(KEY, number * SPAN_SECONDS) for number in range(2_000)]
    assert abs(mean(anchors)) < UNIT // 500


def test_other_keys_give_another_walk():
    assert compute_deviation(b"one", 1_790_000_000) != compute_deviation(b"two", 1_790_000_000)


@pytest.mark.parametrize("draw", [0, 1, 49_000, 2**64 - 1])
def test_unknown_symbol_has_a_price_level(draw):
    base_price = find_base_price("NOBODY", draw)
    assert base_price is not None
    assert 10 <= base_price.price < 500
    assert base_price.price % base_price.tick == 0


def test_levels_of_known_symbols_are_whole_ticks():
    for symbol, base in BASE_PRICES.items():
        assert find_base_price(symbol, 0) is base
        assert base.price % base.tick == 0, symbol


def test_pair_without_a_slash_has_the_price_of_the_pair():
    assert get_base_symbol("EURUSD") == "EUR/USD"
    assert find_base_price(get_base_symbol("EURUSD"), 0) is BASE_PRICES["EUR/USD"]
