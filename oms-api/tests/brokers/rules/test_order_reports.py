"""Amounts, times and orders as brokers report them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.order_reports import parse_amount, parse_optional_amount, parse_time
from app.brokers.rules.values import OrderType
from tests.brokers.rules.test_order_tracking import build_report


@pytest.mark.parametrize("given", ["1.50", 2, Decimal("0.1")])
def test_amount_is_exact(given):
    assert parse_amount(given) == parse_optional_amount(given) == Decimal(given)
    assert parse_optional_amount(None) is None


@pytest.mark.parametrize("given", [None, 1.5, True, "", "much", "NaN", "Infinity", [1]])
def test_what_is_no_amount_is_refused(given):
    with pytest.raises(ValueError, match="not an amount"):
        parse_amount(given)


@pytest.mark.parametrize("text", ["2026-11-27T15:00:00Z", "2026-11-27T10:00:00-05:00", "2026-11-27T15:00:00"])
def test_time_is_of_utc(text):
    assert parse_time(text) == datetime(2026, 11, 27, 15, tzinfo=UTC)


def test_reported_order_has_what_is_left_and_the_level_of_its_trail():
    limit = build_report("partially_filled", "4").build_order(7)
    assert (limit.id, limit.portfolio_id, limit.leaves) == ("A", 7, Decimal(6))
    assert (limit.limit_price, limit.stop_price, limit.trail_level) == (Decimal(95), None, None)
    stop = Decimal(90)
    trail = build_report(kind=OrderType.TRAILING_STOP, limit_price=None, stop_price=stop).build_order(7)
    assert (trail.stop_price, trail.trail_level) == (None, stop)


@pytest.mark.parametrize(("status", "is_waiting"), [("held", True), ("new", False), ("filled", False)])
def test_held_exit_waits_for_its_entry(status, is_waiting):
    assert build_report(status).is_waiting is is_waiting
