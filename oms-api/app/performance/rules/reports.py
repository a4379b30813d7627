"""The statistics of a portfolio's equity over a period."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from math import fsum
from typing import NamedTuple

from app.money import ZERO
from app.performance.rules.drawdowns import find_max_drawdown
from app.performance.rules.returns import compute_daily_returns, compute_growth_index, list_growth
from app.performance.rules.statistics import (
    compute_cagr,
    compute_calmar,
    compute_sharpe,
    compute_sortino,
    compute_volatility,
)
from app.performance.rules.values import Drawdown, EquityPoint, KeptSnapshot


class Statistics(NamedTuple):
    """Ratios of a period, each None if it is undefined. The returns are shares: 0.01 is 1%."""

    start: datetime
    end: datetime
    days: int
    time_weighted_return: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: Drawdown | None
    turnover: float | None
    exposure: float | None
    charges: Decimal


def summarize_equity(
    start: KeptSnapshot, kept: Sequence[KeptSnapshot], traded: Sequence[Decimal], days_a_year: int
) -> Statistics:
    """Return the statistics of a period: its start, its closes and flows, and the values that were traded."""
    snapshots = [start, *kept]
    points = [one.point for one in snapshots]
    steps = list_growth(points)
    index = compute_growth_index(steps)
    returns = [day.value for day in compute_daily_returns(points, steps) if day.value is not None]
    growth = None if index is None else index[-1]
    drawdown = None if index is None else find_max_drawdown([point.at for point in points], index)
    cagr = None if growth is None else compute_cagr(growth, points[-1].at - points[0].at)
    return Statistics(
        start=points[0].at,
        end=points[-1].at,
        days=len(returns),
        time_weighted_return=None if growth is None else growth - 1.0,
        cagr=cagr,
        volatility=compute_volatility(returns, days_a_year),
        sharpe=compute_sharpe(returns, days_a_year),
        sortino=compute_sortino(returns, days_a_year),
        calmar=compute_calmar(cagr, None if drawdown is None else drawdown.share),
        max_drawdown=drawdown,
        turnover=_compute_turnover(points, traded),
        exposure=_compute_mean_exposure(kept),
        charges=snapshots[-1].charges - start.charges,
    )


def _compute_turnover(points: Sequence[EquityPoint], traded: Sequence[Decimal]) -> float | None:
    """Return the traded value per mean equity."""
    mean = fsum(point.equity for point in points) / len(points)
    return float(sum(traded, ZERO)) / mean if mean > 0 else None


def _compute_mean_exposure(kept: Sequence[KeptSnapshot]) -> float | None:
    """Return the mean gross exposure per equity, at the closes with equity."""
    shares = [
        one.gross_exposure / one.point.equity for one in kept if one.point.is_close and one.point.equity > 0
    ]
    return fsum(shares) / len(shares) if shares else None
