"""The equity curve keeps all points of a short backtest, and thins those of a long one."""

from decimal import Decimal

from app.backtests.rules.equity_points import DAY_SECONDS, BacktestEquityCurve, EquityPoint, split_days

ZERO = Decimal(0)


def _build_point(at, is_close=False):
    return EquityPoint(at, Decimal(at), Decimal(1), Decimal(1), ZERO, is_close)


def test_equity_is_cash_and_market_value():
    assert _build_point(5).equity == 6


def test_point_replaces_one_of_the_same_instant():
    curve = BacktestEquityCurve(2)
    for point in (
        _build_point(1),
        _build_point(2),
        _build_point(2, is_close=True),
        _build_point(3),
        _build_point(3, is_close=True),
    ):
        curve.append(point)
    assert [(equity_point.at, equity_point.is_close) for equity_point in curve.points] == [
        (1, False),
        (2, True),
        (3, True),
    ]
    assert curve.step == 1


def test_curve_is_thinned_to_every_second_point_and_keeps_the_closes():
    curve = BacktestEquityCurve(4)
    for at in range(1, 6):
        curve.append(_build_point(at, is_close=at == 2))
        assert curve.step == 1
    curve.append(_build_point(6))
    assert [point.at for point in curve.points] == [1, 2, 4, 6]
    assert curve.step == 2


def test_days_are_split_at_midnight():
    starts = [10, 20, DAY_SECONDS - 1, DAY_SECONDS, 3 * DAY_SECONDS + 5]
    assert list(split_days(starts)) == [(0, 3), (3, 4), (4, 5)]
    assert list(split_days([])) == []
