"""The statistics of a portfolio's equity over a period."""

from collections.abc import Sequence
from decimal import Decimal
from math import fsum
from typing import NamedTuple

from app.money import ZERO
from app.performance.rules.drawdowns import compute_max_drawdown
from app.performance.rules.returns import compute_daily_returns, compute_growth_index, list_growth
from app.performance.rules.statistics import (
    compute_cagr,
    compute_calmar,
    compute_sharpe,
    compute_sortino,
    compute_volatility,
)
from app.performance.rules.values import Drawdown, EquitySeries
from app.timestamps import Timestamp, parse_timestamp


class Statistics(NamedTuple):
    """Ratios of a period, each None if it is undefined. The returns are shares: 0.01 is 1%."""

    start: Timestamp
    end: Timestamp
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


def summarize_equity(series: EquitySeries, traded_values: Sequence[Decimal], days_a_year: int) -> Statistics:
    """Return the statistics of a period from its start, its closes and flows, and the values traded in it.

    The first row of `series` is the start.
    """
    growth = list_growth(series.equities, series.flows)
    index = compute_growth_index(growth)
    days = compute_daily_returns(series.is_close[1:], growth)
    returns = [share for share in days if share is not None]
    total = None if index is None else index[-1]
    drawdown = None if index is None else compute_max_drawdown(series.instants, index)
    start, end = series.instants[0], series.instants[-1]
    cagr = None if total is None else compute_cagr(total, parse_timestamp(end) - parse_timestamp(start))
    return Statistics(
        start=start,
        end=end,
        days=len(returns),
        time_weighted_return=None if total is None else total - 1.0,
        cagr=cagr,
        volatility=compute_volatility(returns, days_a_year),
        sharpe=compute_sharpe(returns, days_a_year),
        sortino=compute_sortino(returns, days_a_year),
        calmar=compute_calmar(cagr, None if drawdown is None else drawdown.share),
        max_drawdown=drawdown,
        turnover=_compute_turnover(series.equities, traded_values),
        exposure=_compute_mean_exposure(series),
        charges=Decimal(series.charges[-1]) - Decimal(series.charges[0]),
    )


def _compute_turnover(equities: Sequence[float], traded_values: Sequence[Decimal]) -> float | None:
    """Return the traded value per mean equity."""
    mean = fsum(equities) / len(equities)
    return float(sum(traded_values, ZERO)) / mean if mean > 0 else None


def _compute_mean_exposure(series: EquitySeries) -> float | None:
    """Return the mean gross exposure per equity, at the closes with equity, without the start."""
    rows = zip(series.gross_exposures[1:], series.equities[1:], series.is_close[1:], strict=True)
    shares = [gross / equity for gross, equity, is_close in rows if is_close and equity > 0]
    return fsum(shares) / len(shares) if shares else None
