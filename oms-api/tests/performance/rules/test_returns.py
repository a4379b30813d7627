"""Returns, drawdowns and statistics: the worked examples, and a second, naive computation in floats."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.performance.rules.drawdowns import compute_drawdowns, compute_max_drawdown
from app.performance.rules.returns import compute_daily_returns, compute_growth_index, list_growth
from app.performance.rules.statistics import (
    YEAR,
    compute_cagr,
    compute_calmar,
    compute_sharpe,
    compute_sortino,
    compute_volatility,
)
from app.timestamps import Timestamp, format_timestamp
from tests.support.values import require_value

START = datetime(2026, 1, 1, tzinfo=UTC)
RETURNS = [0.01, -0.005, 0.02, -0.01]
RETURN_LISTS = st.lists(st.integers(-3000, 3000).map(lambda number: number / 10_000), min_size=2, max_size=60)


class Days(NamedTuple):
    """The closes of days, and flows between them."""

    instants: list[Timestamp]
    equities: list[float]
    flows: list[float]
    is_close: list[bool]


def build_points(*rows):
    """Return a point a day of rows (equity, flows so far, is a close)."""
    equities, flows, is_close = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    instants = [format_timestamp(START + timedelta(days=day)) for day in range(len(rows))]
    return Days(instants, list(map(float, equities)), list(map(float, flows)), is_close)


def compute_index(days):
    return compute_growth_index(list_growth(days.equities, days.flows))


def list_daily_returns(days):
    return compute_daily_returns(days.is_close[1:], list_growth(days.equities, days.flows))


def list_drawdowns(days):
    return compute_drawdowns(days.equities, days.flows)


def test_deposit_is_not_a_return():
    days = build_points((100_000, 0, True), (151_000, 50_000, False), (154_000, 50_000, True))
    index = require_value(compute_index(days))
    assert round(index[-1] - 1, 8) == 0.03006623
    assert list_daily_returns(days) == [index[-1] - 1]


def test_withdrawal_is_not_a_drawdown():
    days = build_points((100, 0, True), (110, 0, True), (60, -50, True), (57, -50, True), (66, -50, True))
    index = compute_index(days)
    max_drawdown = require_value(compute_max_drawdown(days.instants, require_value(index)))
    assert (
        round(max_drawdown.share, 12),
        max_drawdown.peak_at,
        max_drawdown.trough_at,
        max_drawdown.recovered_at,
    ) == (*(0.05, *days.instants[2:]),)
    assert [round(require_value(drawdown), 12) for drawdown in list_drawdowns(days)] == [0, 0, 0, 0.05, 0]


def test_return_that_starts_without_equity_is_undefined():
    days = build_points((0, 0, True), (100, 100, True), (110, 100, True))
    assert compute_index(days) is None
    assert list_daily_returns(days) == [None, pytest.approx(0.1)]
    within = build_points((0, 0, True), (100, 100, False), (110, 100, True), (121, 100, True))
    assert list_daily_returns(within) == [None, pytest.approx(0.1)]
    assert compute_index(build_points()) == [1]


def test_drawdown_peak_restarts_at_a_cash_flow_without_equity():
    days = build_points(
        (-5, 0, True), (0, 0, True), (100, 100, True), (90, 100, True), (0, 10, True), (-1, 10, True)
    )
    assert list_drawdowns(days) == [None, None, 0, pytest.approx(0.1), None, None]
    assert list_drawdowns(build_points()) == []


def test_index_that_never_falls_has_no_drawdown():
    assert compute_max_drawdown([format_timestamp(START)], [1.0]) is None
    assert compute_max_drawdown([], []) is None


def test_maximum_drawdown_is_the_larger_of_two():
    levels = [1.0, 0.9, 1.1, 0.8, 0.9]
    instants = [format_timestamp(START + timedelta(days=day)) for day in range(5)]
    drawdown = require_value(compute_max_drawdown(instants, levels))
    assert (drawdown.peak_at, drawdown.trough_at, drawdown.recovered_at) == (instants[2], instants[3], None)
    levels = [*levels[:2], 0.7, 0.95, 1.0]
    deep = require_value(compute_max_drawdown(instants, levels))
    assert (deep.peak_at, deep.trough_at, deep.recovered_at) == (instants[0], instants[2], instants[4])


def test_documented_sharpe_and_sortino_example_is_computed():
    assert round(require_value(compute_sharpe(RETURNS, 252)), 4) == 4.3235
    assert round(require_value(compute_sortino(RETURNS, 252)), 4) == 10.6489


def test_undefined_statistics_are_none():
    assert compute_volatility(RETURNS[:1], 252) is None
    assert compute_sharpe([0.1] * 3, 252) is None
    assert compute_sortino([], 252) is None
    assert compute_sortino([0.01], 252) is None
    assert compute_cagr(2.0, YEAR - timedelta(seconds=1)) is None
    assert compute_cagr(0.0, YEAR) is None
    assert compute_calmar(None, 1.0) is None
    assert compute_calmar(1.0, None) is None
    assert compute_calmar(1.0, 0.0) is None


def test_annual_growth_rate_is_computed():
    assert round(require_value(compute_cagr(1.21, 2 * YEAR)), 12) == 0.1
    assert round(require_value(compute_calmar(0.1, 0.2)), 12) == 0.5


@given(RETURN_LISTS, st.sampled_from([252, 365]))
def test_statistics_equal_a_naive_computation(returns, days):
    mean, deviation = statistics.fmean(returns), statistics.stdev(returns)
    assert float(require_value(compute_volatility(returns, days))) == pytest.approx(
        deviation * math.sqrt(days), rel=1e-9
    )
    sharpe = compute_sharpe(returns, days)
    if sharpe is None:
        assert len(set(returns)) == 1
    else:
        assert float(sharpe) == pytest.approx(mean / deviation * math.sqrt(days), rel=1e-6, abs=1e-9)
    losses = math.sqrt(sum(min(value, 0) ** 2 for value in returns) / len(returns))
    sortino = compute_sortino(returns, days)
    if sortino is None:
        assert losses == 0
    else:
        assert float(sortino) == pytest.approx(mean / losses * math.sqrt(days), rel=1e-9, abs=1e-9)


@given(
    st.lists(
        st.tuples(st.integers(-2000, 2000), st.integers(-300, 300), st.booleans()), min_size=1, max_size=40
    )
)
def test_index_and_drawdowns_equal_a_naive_computation(days):
    """Every day earns a share of the equity, and then a flow arrives."""
    equity, flows, level = 1000.0, 0.0, 1.0
    rows, levels = [(Decimal(1000), Decimal(0), True)], [1.0]
    for share, expected_share, is_close in days:
        earned = Decimal(share) / 10_000 * Decimal(str(round(equity, 8)))
        current = Decimal(str(round(equity, 8))) + earned
        level *= float(current) / equity
        flow = Decimal(expected_share) if current + expected_share > 1 else Decimal(0)
        equity, flows = float(current + flow), flows + float(flow)
        rows.append((Decimal(str(round(equity, 8))), Decimal(str(flows)), is_close))
        equity = round(equity, 8)
        levels.append(level)
    drawn = build_points(*rows)
    index = require_value(compute_index(drawn))
    assert [float(value) for value in index] == pytest.approx(levels, rel=1e-6)
    worst = [1 - index_level / max(levels[: place + 1]) for place, index_level in enumerate(levels)]
    assert [float(require_value(value)) for value in list_drawdowns(drawn)] == pytest.approx(worst, abs=1e-6)
    drawdown = compute_max_drawdown(drawn.instants, index)
    assert float(drawdown.share if drawdown else 0) == pytest.approx(max(worst), abs=1e-6)
    chained = math.prod(1 + require_value(day) for day in list_daily_returns(drawn))
    last = max(place for place, row in enumerate(rows) if row[2])
    assert chained == pytest.approx(levels[last], rel=1e-6)
