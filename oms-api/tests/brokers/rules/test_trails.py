"""A replaced trail keeps its extreme price."""

from decimal import Decimal

import pytest

from app.brokers.rules.trails import TrailDistance, replace_trail_level
from app.ledger.rules.accounting import Side

TICK = Decimal("0.01")


@pytest.mark.parametrize(
    ("side", "level", "before", "after", "new_stop"),
    [
        ("SELL", "114", {"percent": 5}, {"percent": 4}, "115.20"),
        ("SELL", "114", {"percent": 5}, {"percent": 10}, "108"),
        ("SELL", "118", {"amount": 2}, {"amount": 1}, "119"),
        ("BUY", "84", {"percent": 5}, {"percent": 4}, "83.20"),
        ("BUY", "82", {"amount": 2}, {"amount": 1}, "81"),
        ("SELL", "2", {"amount": 1}, {"amount": 3}, None),
        ("SELL", None, {"amount": 1}, {"amount": 3}, None),
    ],
    ids=[
        "smaller percentage",
        "larger percentage",
        "smaller amount",
        "smaller percentage of a buy",
        "smaller amount of a buy",
        "price below zero",
        "no stop price",
    ],
)
def test_trailing_stop_price_is_computed_from_the_extreme(side, level, before, after, new_stop):
    old, new = (
        TrailDistance(**{name: Decimal(value) for name, value in values.items()})
        for values in (before, after)
    )
    current_level = None if level is None else Decimal(level)
    expected = None if new_stop is None else Decimal(new_stop)
    assert replace_trail_level(Side(side), current_level, old, new, TICK) == expected
