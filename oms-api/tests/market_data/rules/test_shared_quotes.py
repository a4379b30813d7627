"""Quotes on their way between processes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.market_data.rules.shared_quotes import choose_newer, parse_quote, serialize_quote
from app.market_data.rules.values import Quote

AT = datetime(2026, 11, 30, 15, 0, 0, 123456, tzinfo=UTC)
QUOTE = Quote("AAPL", None, Decimal("101.50"), Decimal("100.25"), None, Decimal(3), AT, "alpaca")


def test_quote_round_trips():
    assert parse_quote(serialize_quote(QUOTE)) == QUOTE


@pytest.mark.parametrize(("first", "second"), [(QUOTE, None), (None, QUOTE)])
def test_only_quote_is_the_newer(first, second):
    assert choose_newer(first, second) is QUOTE


def test_newer_quote_is_picked_in_any_order():
    later = QUOTE._replace(at=AT + timedelta(microseconds=1))
    assert choose_newer(None, None) is None
    assert choose_newer(QUOTE, later) is later
    assert choose_newer(later, QUOTE) is later
