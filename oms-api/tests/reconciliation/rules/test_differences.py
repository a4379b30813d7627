"""Differences between our books and the books of a broker are reported, except rounding."""

from decimal import Decimal

import pytest

from app.reconciliation.rules.differences import (
    HeldAmount,
    IssueType,
    compare_cash,
    compare_orders,
    compare_positions,
    get_proposed_action,
    get_subject,
    is_possible_action,
    needs_person,
)
from tests.brokers.market import parse_order_text


def build_position(quantity, price="100"):
    return HeldAmount(Decimal(quantity), Decimal(quantity) * Decimal(price))


@pytest.mark.parametrize(
    ("own_positions", "broker_positions", "kind", "figures"),
    [
        ("10", "10", None, None),
        ("10", "9.5", IssueType.QUANTITY_MISMATCH, ("10", "9.5")),
        ("10", "-10", IssueType.QUANTITY_MISMATCH, ("10", "-10")),
        ("10", None, IssueType.MISSING_POSITION, ("10", None)),
        (None, "10", IssueType.MISSING_POSITION, (None, "10")),
        ("0", None, None, None),
    ],
)
def test_positions_are_compared_by_signed_quantity(own_positions, broker_positions, kind, figures):
    own = {} if own_positions is None else {"AAPL": build_position(own_positions)}
    other = {} if broker_positions is None else {"AAPL": build_position(broker_positions)}
    differences = compare_positions(own, other)
    assert [(difference.type, (difference.ours, difference.theirs)) for difference in differences] == (
        [] if kind is None else [(kind, figures)]
    )


@pytest.mark.parametrize(
    ("own_cost", "broker_cost", "differs"),
    [
        ("100", "100.01", False),  # a cent a unit
        ("100", "100.10", False),  # a tenth of a percent
        ("100", "100.11", True),
        ("1", "1.02", True),
    ],
)
def test_average_cost_may_differ_by_rounding(own_cost, broker_cost, differs):
    own, other = {"AAPL": build_position("-10", own_cost)}, {"AAPL": build_position("-10", broker_cost)}
    differences = compare_positions(own, other)
    assert [(difference.type, difference.severity) for difference in differences] == (
        [(IssueType.PRICE_MISMATCH, "warning")] if differs else []
    )


def test_only_orders_of_others_are_unknown():
    [difference] = compare_orders(
        {"O1"}, {name: parse_order_text("BUY 10 MARKET", name) for name in ("O1", "X9")}
    )
    assert (difference.type, difference.symbol, difference.order_id) == (
        IssueType.UNKNOWN_ORDER,
        "X",
        "X9",
    )


def test_cash_may_differ_by_less_than_a_cent():
    assert compare_cash(Decimal("1.00"), Decimal("1.009")) == []
    [difference] = compare_cash(Decimal("1.00"), Decimal("1.01"))
    assert (difference.ours, difference.theirs) == ("1.00", "1.01")


def test_every_type_has_a_proposed_action_that_is_possible():
    assert all(is_possible_action(kind, get_proposed_action(kind)) for kind in IssueType)
    assert not is_possible_action(IssueType.PRICE_MISMATCH, "adopt")
    assert not is_possible_action(IssueType.CASH_MISMATCH, "book_missing")


def test_bookings_and_the_end_of_a_stop_need_a_person():
    assert needs_person("adopt", "info")
    assert needs_person("ignore", "critical")
    assert not needs_person("ignore", "warning")
    assert not needs_person("assign", "critical")


def test_missed_executions_of_one_order_are_separate_issues():
    assert get_subject("missing_execution", None, "O1", "X1") != get_subject(
        "missing_execution", None, "O1", "X2"
    )
    assert get_subject("quantity_mismatch", "AAPL", None, "1") == get_subject(
        "quantity_mismatch", "AAPL", None, "2"
    )
