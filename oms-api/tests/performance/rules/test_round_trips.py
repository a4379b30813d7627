"""Round trips run flat to flat; value at risk is counted, not interpolated."""

from collections import defaultdict
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.accounting import replay
from app.performance.rules.round_trips import ChargedFill, list_round_trips, summarize_round_trips
from app.performance.rules.value_at_risk import compute_daily_profits, compute_risk
from tests.factories import buy, sell


def charged(*fills):
    return [ChargedFill(fill, Decimal(charges)) for fill, charges in fills]


def test_charges_of_a_fill_through_zero_are_split_like_its_quantity():
    fills = charged((buy("100", "50"), 1), (sell("150", "53"), 3), (buy("50", "55"), 1), (buy("5", "50"), 1))
    first, second = list_round_trips(fills)
    assert (first.quantity, first.pnl, first.charges) == (100, 297, 3)
    assert (second.quantity, second.pnl, second.charges) == (50, -102, 2)
    found = summarize_round_trips([first, second])
    assert (found.count, found.win_rate, found.expectancy) == (2, Decimal("0.5"), Decimal("97.5"))
    assert (found.average_win, found.average_loss) == (297, -102)
    assert round(found.profit_factor, 8) == Decimal("2.91176471")


def test_without_round_trips_nothing_is_said():
    assert list_round_trips(charged((buy("1", "1"), 0))) == []
    assert summarize_round_trips([]) == (0, None, None, None, None, None)


FILLS = st.lists(
    st.tuples(st.sampled_from([buy, sell]), st.integers(1, 20), st.integers(1, 9), st.integers(0, 3)),
    max_size=30,
)


@given(FILLS)
def test_round_trips_and_the_open_rest_add_up_to_what_was_realised(drawn):
    fills = charged(*((make(str(size), str(price)), fee) for make, size, price, fee in drawn))
    trips = list_round_trips(fills)
    held = replay(fill for fill, _ in fills)
    if not held.quantity:
        gross = sum((trip.pnl + trip.charges for trip in trips), Decimal(0))
        assert gross == held.realized_pnl
        assert sum((trip.charges for trip in trips), Decimal(0)) == sum(fee for _, fee in fills)
    # A trip ends wherever the quantity, added up naively, reaches or passes zero.
    ends, quantity = 0, Decimal(0)
    for fill, _ in fills:
        after = quantity + fill.side.sign * fill.quantity
        ends += bool(quantity) and after * quantity <= 0
        quantity = after
    assert len(trips) == ends


def test_the_loss_is_counted():
    profits = [Decimal(day) for day in range(-125, 125)]
    at_95, at_99 = (compute_risk(profits, Decimal(confidence)) for confidence in ("0.95", "0.99"))
    assert (at_95.value_at_risk, at_99.value_at_risk) == (113, 123)  # the 13th and the 3rd largest
    assert (at_95.expected_shortfall, at_99.expected_shortfall) == (119, 124)
    assert compute_risk(profits[:99], Decimal("0.95")) is None


def test_profits_of_a_day_are_those_of_all_positions():
    closes = {
        "A": [Decimal(100), Decimal(110), Decimal(99)],
        "B": [Decimal(5), Decimal(10), Decimal(10), Decimal(5)],
    }
    profits = compute_daily_profits({"A": Decimal(1000), "B": Decimal(-100)}, closes)
    assert profits == [100, -50]
    assert compute_daily_profits({"A": Decimal(1), "C": Decimal(1)}, closes) == []
    assert compute_daily_profits({}, closes) == []


@given(st.integers(0, 2**32), st.integers(1, 2))
def test_only_the_last_days_count(seed, symbols):
    draw = Random(seed)
    closes = {str(number): [Decimal(draw.randint(1, 50)) for _ in range(300)] for number in range(symbols)}
    naive: dict[int, Decimal] = defaultdict(Decimal)
    for column in closes.values():
        for day in range(250):
            naive[day] += column[day + 50] / column[day + 49] - 1
    found = compute_daily_profits(dict.fromkeys(closes, Decimal(1)), closes)
    assert len(found) == 250
    assert [round(one, 20) for one in found] == [round(naive[day], 20) for day in range(250)]
