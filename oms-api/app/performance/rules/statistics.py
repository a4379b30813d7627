"""Statistics of daily simple returns, in floats. The risk-free rate is 0."""

from collections.abc import Sequence
from datetime import timedelta
from math import fsum, sqrt

YEAR = timedelta(days=365.25)


def compute_volatility(returns: Sequence[float], days_a_year: int) -> float | None:
    """Return the annualized sample standard deviation (n - 1), or None for fewer than two returns."""
    deviation = _compute_standard_deviation(returns)
    return None if deviation is None else deviation * sqrt(days_a_year)


def compute_sharpe(returns: Sequence[float], days_a_year: int) -> float | None:
    """Return the annualized Sharpe ratio, or None if the returns do not vary."""
    return _annualize_ratio(returns, _compute_standard_deviation(returns), days_a_year)


def compute_sortino(returns: Sequence[float], days_a_year: int) -> float | None:
    """Return the annualized Sortino ratio, or None without a loss. Losses are averaged over all returns."""
    if not returns:
        return None
    squares = fsum(loss * loss for loss in returns if loss < 0)
    return _annualize_ratio(returns, sqrt(squares / len(returns)), days_a_year)


def compute_cagr(growth: float, period: timedelta) -> float | None:
    """Return the compound annual growth rate. None for less than a year, or if everything was lost."""
    if period < YEAR or growth <= 0:
        return None
    return float(growth ** (YEAR / period)) - 1.0


def compute_calmar(cagr: float | None, max_drawdown: float | None) -> float | None:
    """Return the annual growth per maximum drawdown, or None if either is missing."""
    if cagr is None or not max_drawdown:
        return None
    return cagr / max_drawdown


def _annualize_ratio(returns: Sequence[float], risk: float | None, days_a_year: int) -> float | None:
    return _compute_mean(returns) / risk * sqrt(days_a_year) if risk else None


def _compute_standard_deviation(returns: Sequence[float]) -> float | None:
    if len(returns) < 2:
        return None
    if min(returns) == max(returns):  # the mean of equal floats may differ from them
        return 0.0
    mean = _compute_mean(returns)
    return sqrt(fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1))


def _compute_mean(returns: Sequence[float]) -> float:
    return fsum(returns) / len(returns)
