"""A trade shows its charges in percent of its value."""

import pytest

from app.ledger.rules.amounts import compute_charges_percentage
from tests.factories import trade_row


@pytest.mark.parametrize(
    ("charges", "gmv", "fx_rate", "percentage"),
    [
        ("2.50000000", "5000.00000000", None, "0.05"),
        ("-2.50000000", "5000.00000000", None, "-0.05"),  # a reversal returns them
        ("83.50000000", "2000.00000000", "83.50000000", "0.05"),
        ("1.00000000", "3.00000000", None, "33.33333333"),
        ("1.00000000", "0.00000000", None, None),
    ],
)
def test_charges_are_a_percentage_of_the_value_in_the_same_currency(charges, gmv, fx_rate, percentage):
    found = compute_charges_percentage(trade_row(charges=charges, gmv=gmv, fx_rate=fx_rate))
    assert (None if found is None else str(found.normalize())) == percentage


@pytest.mark.any_database
def test_recorded_trade_shows_its_charges_percentage(api):
    trade = api.buy("100", "50", charges="2.50")
    assert trade["charges_percentage"] == "0.05"
    assert api.get(f"/trades/{trade['trade_id']}").json()["charges_percentage"] == "0.05"
    assert api.buy("1", "50")["charges_percentage"] == "0.00"
