"""A fill has the time of its quote, or of its request if that is later."""

from datetime import timedelta

import pytest

from app.timestamps import format_timestamp
from tests.orders.writer_harness import START

pytestmark = pytest.mark.any_database


def test_request_received_before_a_quote_uses_the_quote_size_once(harness):
    """The requests waited in the queue behind the quote, so their fills have the time of the quote."""
    harness.open_portfolio()
    harness.publish_quote("99", "101", "100", ask_size="10")
    quoted_at = harness.now
    harness.now = START  # the requests arrived before the quote
    first, second = (harness.place_order(quantity="10", client_order_id=name) for name in ("first", "second"))
    assert (first.filled_quantity, second.filled_quantity) == (10, 0)
    assert harness.query("SELECT DISTINCT executed_at FROM executions") in (
        [(format_timestamp(quoted_at),)],
        [(quoted_at,)],
    )
    assert harness.query("SELECT DISTINCT executed_at FROM trades") in (
        [(format_timestamp(quoted_at),)],
        [(quoted_at,)],
    )


def test_fill_of_a_later_request_has_the_time_of_that_request(harness):
    harness.publish_quote("99", "101", "100", ask_size="10")
    harness.advance_clock(seconds=5)
    harness.place_order(quantity="4")
    harness.advance_clock(seconds=5)
    assert harness.place_order(quantity="10").filled_quantity == 6
    rows = harness.query("SELECT executed_at FROM executions ORDER BY executed_at")
    instants = [value if isinstance(value, str) else format_timestamp(value) for (value,) in rows]
    assert instants == [
        format_timestamp(START + timedelta(seconds=7)),
        format_timestamp(START + timedelta(seconds=12)),
    ]
