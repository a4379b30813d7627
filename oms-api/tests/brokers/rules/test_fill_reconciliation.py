"""Missing fills are found although two sources of a broker name a fill differently."""

from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.brokers.rules.fill_reconciliation import select_missing_fills
from app.money import ZERO


class Fill(NamedTuple):
    execution_id: str
    quantity: Decimal
    price: Decimal


def build_fill(name, quantity=4, price=100):
    return Fill(name, Decimal(quantity), Decimal(price))


def sum_quantities(fills):
    return sum((fill.quantity for fill in fills), ZERO)


@pytest.mark.parametrize(
    ("applied", "reported", "filled", "missing"),
    [
        ([], [build_fill("A1")], 4, ["A1"]),
        ([build_fill("E1")], [build_fill("E1")], 4, []),
        ([build_fill("E1")], [build_fill("A1")], 4, []),  # another name
        ([build_fill("E1")], [build_fill("A1", 4, 101)], 4, []),  # nothing can be missing
        ([build_fill("E1")], [build_fill("A1"), build_fill("A2", 6, 99)], 10, ["A2"]),
        (
            [build_fill("E1")],
            [build_fill("A1"), build_fill("A2")],
            8,
            ["A2"],
        ),  # two equal ones, of which one was applied
        ([build_fill("E1")], [build_fill("A2")], 8, ["A2"]),  # the list begins after the first one
        ([build_fill("E1")], [build_fill("E1"), build_fill("A2")], 8, ["A2"]),
        ([build_fill("E1"), build_fill("A2")], [build_fill("E2")], 8, []),  # the stream tells it late
        ([], [build_fill("A1"), build_fill("A2", 6)], 4, ["A1"]),  # the second came after the order was read
    ],
)
def test_missing_fills_are_found_under_any_execution_id(applied, reported, filled, missing):
    missing_fills = select_missing_fills(applied, reported, Decimal(filled))
    assert [fill.execution_id for fill in missing_fills] == missing


def test_fill_that_was_taken_back_is_not_applied_again():
    assert select_missing_fills([], [build_fill("E1")], Decimal(4), {"E1"}) == []


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(99, 101), st.booleans()), max_size=8),
    st.randoms(use_true_random=False),
)
def test_quantity_is_complete_after_the_missing_ones(fills, draw):
    """All fills are listed under other ids. Some fills were applied before, in any order."""
    truth = [build_fill(f"E{number}", quantity, price) for number, (quantity, price, _) in enumerate(fills)]
    applied = [fill for fill, (_, _, is_applied) in zip(truth, fills, strict=True) if is_applied]
    draw.shuffle(applied)
    reported = [fill._replace(execution_id=f"A{number}") for number, fill in enumerate(truth)]
    missing_fills = select_missing_fills(applied, reported, sum_quantities(truth))
    assert sum_quantities(applied) + sum_quantities(missing_fills) == sum_quantities(truth)
    values = sum(fill.quantity * fill.price for fill in [*applied, *missing_fills])
    assert values == sum(fill.quantity * fill.price for fill in truth)
