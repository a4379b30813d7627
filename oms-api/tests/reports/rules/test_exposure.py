"""Exposure by group."""

from decimal import Decimal

import pytest

from app.reports.rules.exposure import ExposureGrouping, ExposureReport, HeldValue, sum_exposure
from tests.reports.fills import to_decimals

HELD = [
    HeldValue("Growth", "AAPL", "USD", "equity", "Technology", Decimal(300)),
    HeldValue("Growth", "BTC/USD", "USD", "crypto", "", Decimal(-100)),
    HeldValue("India", "AAPL", "USD", "equity", "Technology", Decimal(50)),
]


@pytest.mark.parametrize(
    ("grouping", "sums"),
    [
        ("portfolio", {"Growth": (300, -100), "India": (50, 0)}),
        ("symbol", {"AAPL": (350, 0), "BTC/USD": (0, -100)}),
        ("currency", {"USD": (350, -100)}),
        ("asset_class", {"equity": (350, 0), "crypto": (0, -100)}),
        ("sector", {"Technology": (350, 0), "": (0, -100)}),
    ],
)
def test_values_are_summed_by_group_and_direction(grouping, sums):
    groups = sum_exposure(ExposureGrouping(grouping), HELD)
    assert {key: (exposure.long_value, exposure.short_value) for key, exposure in groups.items()} == {
        key: to_decimals(*values) for key, values in sums.items()
    }


def test_gross_adds_and_net_offsets():
    total = ExposureReport("USD", sum_exposure(ExposureGrouping.SYMBOL, HELD), [], []).total
    assert (total.gross_exposure, total.net_exposure) == to_decimals(450, 250)
    assert total.positions == 3
