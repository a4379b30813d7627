"""Statistics of a strategy from its fills."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from app.ledger.rules.accounting import Side
from app.ledger.rules.keys import PositionKey
from app.strategies.rules.statistics import NO_STATISTICS, StrategyFill, compute_statistics

MONDAY = datetime(2026, 11, 16, 15, tzinfo=UTC)
CAPITAL = Decimal(100_000)


def build_fill(side, quantity, value, day, charges="0", portfolio_id=1):
    at = MONDAY + timedelta(days=day)
    position_key = PositionKey(1, portfolio_id, "AAPL", "")
    return StrategyFill(position_key, side, Decimal(quantity), Decimal(value), Decimal(charges), at)


def test_no_fill_has_no_statistics():
    assert compute_statistics([], CAPITAL) == NO_STATISTICS
    assert compute_statistics([build_fill(Side.BUY, 1, 10, 0)], CAPITAL) == NO_STATISTICS


def test_round_trips_are_net_of_charges_and_ratios_are_of_days():
    fills = [
        build_fill(Side.BUY, 100, 10_000, 0, "1"),
        build_fill(Side.SELL, 100, 11_001, 0, "0"),  # +1,000: a return of 1%
        build_fill(Side.SELL, 10, 1_000, 1),
        build_fill(Side.BUY, 10, 1_505, 1),  # -505: a return of -0.5%
        build_fill(Side.BUY, 1, 100, 2, portfolio_id=2),  # still open
    ]
    statistics = compute_statistics(fills, CAPITAL)
    assert statistics.trades == 2
    assert statistics.wins == 1
    assert statistics.losses == 1
    assert statistics.win_rate == 0.5
    assert statistics.pnl_net == Decimal(495)
    assert round(statistics.max_drawdown or 0.0, 8) == 0.005
    assert (statistics.sharpe or 0.0) > 0


def test_ratios_require_capital():
    fills = [build_fill(Side.BUY, 1, 10, 0), build_fill(Side.SELL, 1, 12, 0)]
    statistics = compute_statistics(fills, Decimal(0))
    assert (statistics.pnl_net, statistics.sharpe, statistics.max_drawdown) == (Decimal(2), None, None)


def test_days_of_a_weekend_count_only_where_it_traded():
    trip = [build_fill(Side.BUY, 1, 100, 4), build_fill(Side.SELL, 1, 200, 4)]  # a Friday
    monday = [build_fill(Side.BUY, 1, 100, 7), build_fill(Side.SELL, 1, 90, 7)]
    saturday = [build_fill(Side.BUY, 1, 100, 5), build_fill(Side.SELL, 1, 100, 5)]
    without, with_weekend = (
        compute_statistics(fills, CAPITAL).sharpe for fills in (trip + monday, trip + saturday + monday)
    )
    assert without != with_weekend
