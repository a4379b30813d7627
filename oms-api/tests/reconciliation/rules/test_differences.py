"""What counts as a difference between our books and a broker's."""

from decimal import Decimal

import pytest

from app.reconciliation.rules.differences import (
    IssueType,
    compare_cash,
    compare_orders,
    compare_positions,
    get_proposed_action,
)


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "figures"),
    [
        ("10", "10", None, None),
        ("10", "9.5", IssueType.QUANTITY_MISMATCH, ("10", "9.5")),
        ("10", "-10", IssueType.QUANTITY_MISMATCH, ("10", "-10")),
        ("10", None, IssueType.MISSING_POSITION, ("10", None)),
        (None, "10", IssueType.MISSING_POSITION, (None, "10")),
        ("0", None, None, None),
    ],
)
def test_positions_are_compared_by_signed_quantity(ours, theirs, kind, figures):
    own = {} if ours is None else {"AAPL": Decimal(ours)}
    other = {} if theirs is None else {"AAPL": Decimal(theirs)}
    found = compare_positions(own, other)
    assert [(one.type, (one.ours, one.theirs)) for one in found] == (
        [] if kind is None else [(kind, figures)]
    )


def test_only_orders_of_others_are_unknown():
    [found] = compare_orders({"O1"}, {"O1": "AAPL", "X9": "MSFT"})
    assert (found.type, found.symbol, found.order_id) == (IssueType.UNKNOWN_ORDER, "MSFT", "X9")


def test_cash_may_differ_by_less_than_a_cent():
    assert compare_cash(Decimal("1.00"), Decimal("1.009")) == []
    [found] = compare_cash(Decimal("1.00"), Decimal("1.01"))
    assert (found.ours, found.theirs) == ("1.00", "1.01")


def test_every_type_has_a_proposed_action():
    actions = {"adopt", "book_missing", "adjust_cash"}
    assert {get_proposed_action(kind) for kind in IssueType} == actions
