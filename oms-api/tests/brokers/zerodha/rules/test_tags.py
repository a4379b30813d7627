"""An order id is its tag in other digits, so that an order can be found without a table."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.brokers.zerodha.rules.tags import TAG_LENGTH, build_tag, parse_tag
from app.ids import SortableIds


@given(st.integers(0, 10**13 - 1), st.integers(0, 16**12 - 1))
def test_tag_has_the_order_id_and_fits(moment, suffix):
    order_id = f"O{moment:013d}{suffix:012x}"
    tag = build_tag(order_id)
    assert tag.isascii()
    assert tag.isalnum()
    assert len(tag) == TAG_LENGTH
    assert parse_tag(tag) == order_id


def test_ids_of_orders_have_tags_that_can_be_parsed():
    order_id = SortableIds("O").generate(1, datetime(2026, 11, 27, tzinfo=UTC))
    assert parse_tag(build_tag(order_id)) == order_id


@pytest.mark.parametrize("order_id", ["rests", "O1", "O2026-11-27"])
def test_other_ids_get_a_hash_that_fits_and_cannot_be_parsed(order_id):
    tag = build_tag(order_id)
    assert tag.isalnum()
    assert len(tag) == TAG_LENGTH
    assert parse_tag(tag) is None


@pytest.mark.parametrize(
    "tag", ["", "my tag", "OZZZZZZZZZ0000000000", "O000000000ZZZZZZZZZZ", "o0000000000000000000"]
)
def test_tags_of_others_are_not_ours(tag):
    assert parse_tag(tag) is None
