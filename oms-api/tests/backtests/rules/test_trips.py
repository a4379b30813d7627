"""Round trips run from flat to flat, and bear the charges of their fills."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.backtests.rules.trips import TripTracker
from app.ledger.rules.accounting import FLAT, Fill, Side, apply_fill

fills = st.tuples(st.sampled_from(Side), st.integers(1, 9), st.integers(1, 99), st.integers(0, 5))


def _compute_earned(trades):
    tracker, position = TripTracker(), FLAT
    for side, quantity, price, charges in trades:
        fill = Fill(side, Decimal(quantity), Decimal(quantity * price))
        current = apply_fill(position, fill)
        tracker.book_fill(position, current, side.sign * fill.quantity, Decimal(charges))
        position = current
    return tracker.earned, position


def test_trip_earns_its_realised_profit_less_all_charges():
    trades = [(Side.BUY, 10, 5, 1), (Side.BUY, 10, 7, 1), (Side.SELL, 5, 8, 1), (Side.SELL, 15, 8, 2)]
    assert _compute_earned(trades)[0] == [Decimal(40 - 5)]


def test_charges_of_a_fill_through_zero_are_split_by_quantity():
    trades = [(Side.BUY, 10, 5, 1), (Side.SELL, 20, 6, 4), (Side.BUY, 10, 6, 1)]
    assert _compute_earned(trades)[0] == [Decimal(10 - 1 - 2), Decimal(0 - 2 - 1)]


@given(st.lists(fills, max_size=12))
def test_profit_of_trips_equals_realized_profit_of_a_flat_portfolio(trades):
    _, position = _compute_earned(trades)
    if position.quantity:
        closing = Side.SELL if position.quantity > 0 else Side.BUY
        trades = [*trades, (closing, int(abs(position.quantity)), 50, 1)]
    earned, position = _compute_earned(trades)
    charges = sum(trade[3] for trade in trades)
    assert abs(sum(earned) - (position.realized_pnl - charges)) < Decimal("0.0000001")
