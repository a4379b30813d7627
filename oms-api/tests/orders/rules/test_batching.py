"""Portfolios are split into portions of few orders; none is lost, none is split."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.batching import split_keys_by_order_count


@given(st.lists(st.integers(1, 12)), st.integers(1, 10))
def test_portfolios_are_split_into_bounded_portions_without_loss(counts, max_orders):
    portions = list(split_keys_by_order_count(enumerate(counts), max_orders))
    assert [key for portion in portions for key in portion] == list(range(len(counts)))
    sizes = [sum(counts[key] for key in portion) for portion in portions]
    assert all(size <= max_orders or len(portion) == 1 for size, portion in zip(sizes, portions, strict=True))
    assert all(first + second > max_orders for first, second in pairwise(sizes))
