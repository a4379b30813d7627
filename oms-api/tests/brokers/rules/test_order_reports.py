"""Amounts, times and orders as brokers report them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.order_reports import (
    MAX_REASON_LENGTH,
    MalformedResponse,
    clean_reason,
    parse_amount,
    parse_name,
    parse_optional_amount,
    parse_order_number,
    parse_positive_amount,
    parse_quantity,
    parse_time,
    require_list,
)
from app.brokers.rules.values import OrderType
from tests.brokers.order_reports import build_report


@pytest.mark.parametrize("amount", ["1.50", 2, Decimal("0.1")])
def test_amount_is_exact(amount):
    assert parse_amount(amount) == parse_optional_amount(amount) == Decimal(amount)
    assert parse_optional_amount(None) is None


@pytest.mark.parametrize(
    "amount",
    [
        *(None, 1.5, True, "", "much", "NaN", "Infinity", [1]),
        *("1e400", "1e999999999", "-1e16", 10**400, "1e-999999999", "0." + "1" * 200),
    ],
)
def test_text_that_is_not_an_amount_is_rejected(amount):
    with pytest.raises(ValueError, match="not an amount"):
        parse_amount(amount)


@pytest.mark.parametrize("amount", ["-1", "-0.00000001"])
def test_order_and_its_fills_have_no_quantity_below_zero(amount):
    with pytest.raises(ValueError, match="below zero"):
        parse_quantity(amount)
    with pytest.raises(ValueError, match="not above zero"):
        parse_positive_amount(amount)


def test_order_may_have_filled_nothing_but_a_fill_has_a_quantity():
    assert parse_quantity("0") == 0
    with pytest.raises(ValueError, match="not above zero"):
        parse_positive_amount("0")
    assert parse_positive_amount("0.5") == Decimal("0.5")


@pytest.mark.parametrize("name", ["", "a\x00b", "a\ud800", "a\n", "x" * 101])
def test_name_that_cannot_be_stored_is_refused(name):
    with pytest.raises(ValueError, match="not a name"):
        parse_name(name)


@pytest.mark.parametrize("given", ["", ".", "..", "?x", "../account", "a/b", "a b", "\u0661", "x" * 101, [1]])
def test_id_that_would_change_an_address_is_refused(given):
    assert parse_order_number(151220000000000) == "151220000000000"
    with pytest.raises(ValueError, match="not the id of an order"):
        parse_order_number(given)


def test_name_is_text():
    assert parse_name(151220000000000) == "151220000000000"


def test_reason_of_a_broker_can_be_stored():
    assert clean_reason("not\x00 enough\ud800\nfunds") == "not  enough  funds"
    assert clean_reason("x" * 9999) == "x" * MAX_REASON_LENGTH
    assert clean_reason(None) is clean_reason("\x00") is None


def test_answer_that_should_be_a_list_is_one():
    assert (require_list(None, "orders"), require_list([1], "orders")) == ([], [1])
    with pytest.raises(MalformedResponse, match="orders: dict"):
        require_list({}, "orders")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "soon"])
def test_time_that_does_not_exist_in_utc_is_refused(text):
    with pytest.raises(ValueError, match=r"time|Invalid"):
        parse_time(text)


def test_unknown_status_is_open():
    assert build_report("reviewed_by_the_moon").is_open


@pytest.mark.parametrize("text", ["2026-11-27T15:00:00Z", "2026-11-27T10:00:00-05:00", "2026-11-27T15:00:00"])
def test_time_is_of_utc(text):
    assert parse_time(text) == datetime(2026, 11, 27, 15, tzinfo=UTC)


def test_reported_order_has_leaves_quantity_and_trail_level():
    limit = build_report("partially_filled", "4").build_order(7)
    assert (limit.id, limit.portfolio_id, limit.leaves) == ("A", 7, Decimal(6))
    assert (limit.limit_price, limit.stop_price, limit.trail_level) == (Decimal(95), None, None)
    stop = Decimal(90)
    trail = build_report(type=OrderType.TRAILING_STOP, limit_price=None, stop_price=stop).build_order(7)
    assert (trail.stop_price, trail.trail_level) == (None, stop)


@pytest.mark.parametrize(
    ("status", "is_waiting_for_entry"), [("held", True), ("new", False), ("filled", False)]
)
def test_held_exit_waits_for_its_entry(status, is_waiting_for_entry):
    assert build_report(status).is_waiting_for_entry is is_waiting_for_entry
