"""The prices of a quote."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.market_data.rules.values import Quote, compute_age, compute_mark, compute_mid

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def build_quote(bid, ask, last):
    prices = (None if price is None else Decimal(price) for price in (bid, ask, last))
    return Quote._make(("X", *prices, None, None, NOON, "test"))


@pytest.mark.parametrize(
    ("prices", "middle", "marked"),
    [
        (("99", "102", "100"), "100.5", "100.5"),
        (("99", None, "100"), None, "100"),
        ((None, "102", "100"), None, "100"),
        ((None, None, "100"), None, "100"),
        (("99", None, None), None, None),
        (("0.00000001", "0.00000002", None), "0.00000002", "0.00000002"),  # half-even to 8 places
        (("0.00000002", "0.00000003", None), "0.00000002", "0.00000002"),
    ],
)
def test_mark_is_the_midpoint_or_else_the_last_price(prices, middle, marked):
    assert compute_mid(build_quote(*prices)) == (None if middle is None else Decimal(middle))
    assert compute_mark(build_quote(*prices)) == (None if marked is None else Decimal(marked))


def test_quote_age_increases_and_is_never_negative():
    quote = build_quote("99", "102", None)
    assert compute_age(quote, NOON + timedelta(seconds=3)) == timedelta(seconds=3)
    assert compute_age(quote, NOON - timedelta(seconds=3)) == timedelta(0)
