from decimal import Decimal

import pytest

from app.forms.day_change import DayBar, compute_day_change, format_day_change

TODAY = "2026-11-30"


def build_bar(day, opened, closed):
    return DayBar(f"{day}T00:00:00.000000Z", Decimal(opened), Decimal(closed))


@pytest.mark.parametrize(
    ("bars", "text"),
    [
        ([build_bar(TODAY, "170", "175"), build_bar("2026-11-28", "160", "160")], "today +15.00 (+9.38%)"),
        ([build_bar(TODAY, "200", "175")], "today -25.00 (-12.50%)"),
        ([build_bar(TODAY, "175", "175")], "today 0.00 (0.00%)"),
        ([build_bar("2026-11-29", "170", "175")], ""),
        ([build_bar(TODAY, "0", "175")], ""),
        ([], ""),
    ],
)
def test_price_is_compared_with_the_previous_close_or_the_open(bars, text):
    assert format_day_change(compute_day_change(Decimal(175), bars, TODAY)) == text
