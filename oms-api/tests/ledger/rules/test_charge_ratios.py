"""The charges of a trade in percent of its value."""

import pytest

from app.ledger.rules.amounts import compute_charges_percentage
from tests.factories import build_trade_row


@pytest.mark.parametrize(
    ("charges", "gmv", "fx_rate", "expected"),
    [
        ("0.00000000", "44000.00000000", None, "0.00000000"),
        ("28.22000000", "44000.00000000", None, "0.06413636"),
        ("-28.22000000", "44000.00000000", None, "-0.06413636"),
        ("85.00000000", "1000.00000000", "85.00000000", "0.10000000"),
        ("1.00000000", "0.00000000", None, "0.00000000"),  # worth less than the smallest amount
    ],
)
def test_charges_are_compared_with_the_value_in_the_portfolios_currency(charges, gmv, fx_rate, expected):
    row = build_trade_row()._replace(charges=charges, gmv=gmv, fx_rate=fx_rate)
    assert compute_charges_percentage(row) == expected
