"""Statistics of round trips; value at risk, which is counted and not interpolated."""

from collections import defaultdict
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from app.performance.rules.trip_statistics import summarize_trips
from app.performance.rules.value_at_risk import compute_daily_profits, compute_tail_risk
from tests.support.values import require_value


def test_round_trips_are_counted_by_profit_and_loss():
    trip_statistics = summarize_trips([Decimal(297), Decimal(-102), Decimal(0)])
    assert (trip_statistics.round_trips, round(require_value(trip_statistics.win_rate), 8)) == (
        3,
        Decimal("0.33333333"),
    )
    assert (
        require_value(trip_statistics.expectancy),
        require_value(trip_statistics.average_win),
        require_value(trip_statistics.average_loss),
    ) == (65, 297, -102)
    assert round(require_value(trip_statistics.profit_factor), 8) == Decimal("2.91176471")


def test_trip_statistics_are_none_without_round_trips():
    assert summarize_trips([]) == (0, None, None, None, None, None)


def test_value_at_risk_is_the_counted_loss_without_interpolation():
    profits = [Decimal(day) for day in range(-125, 125)]
    at_95, at_99 = (require_value(compute_tail_risk(profits, Decimal(level))) for level in ("0.95", "0.99"))
    assert (at_95.value_at_risk, at_99.value_at_risk) == (113, 123)  # the 13th and the 3rd largest
    assert (at_95.expected_shortfall, at_99.expected_shortfall) == (119, 124)
    assert compute_tail_risk(profits[:99], Decimal("0.95")) is None


def test_daily_profit_is_the_sum_of_all_positions():
    closes = {
        "A": [Decimal(100), Decimal(110), Decimal(99)],
        "B": [Decimal(5), Decimal(10), Decimal(10), Decimal(5)],
    }
    profits = compute_daily_profits({"A": Decimal(1000), "B": Decimal(-100)}, closes)
    assert profits == [100, -50]
    assert compute_daily_profits({"A": Decimal(1), "C": Decimal(1)}, closes) == []
    assert compute_daily_profits({}, closes) == []


@given(st.integers(0, 2**32), st.integers(1, 2))
def test_value_at_risk_uses_only_the_latest_days(seed, symbols):
    draw = Random(seed)
    closes = {str(number): [Decimal(draw.randint(1, 50)) for _ in range(300)] for number in range(symbols)}
    naive: dict[int, Decimal] = defaultdict(Decimal)
    for column in closes.values():
        for day in range(250):
            naive[day] += column[day + 50] / column[day + 49] - 1
    daily_profits = compute_daily_profits(dict.fromkeys(closes, Decimal(1)), closes)
    assert len(daily_profits) == 250
    assert [round(profit, 20) for profit in daily_profits] == [round(naive[day], 20) for day in range(250)]
