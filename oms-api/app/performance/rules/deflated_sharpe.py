"""The deflated Sharpe ratio: how probable it is that the best of many trials is better than luck.

Source: D. Bailey, M. Lopez de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest
Overfitting and Non-Normality", Journal of Portfolio Management 40 (5), 2014.
"""

from collections.abc import Sequence
from math import e, fsum, sqrt
from statistics import NormalDist

_EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()
_MIN_RETURNS = 3
_MIN_SPREAD = 1e-12  # avoids a division by zero, for some distributions of two values


def compute_expected_maximum(ratios: Sequence[float]) -> float:
    """Return the Sharpe ratio that the best of these trials has by luck alone.

    `ratios` are the Sharpe ratios of all trials, per period. With fewer than two trials, the result is zero.
    """
    count = len(ratios)
    if count < 2:
        return 0.0
    mean = fsum(ratios) / count
    deviation = sqrt(fsum((ratio - mean) ** 2 for ratio in ratios) / (count - 1))
    quantile, upper_quantile = _NORMAL.inv_cdf(1 - 1 / count), _NORMAL.inv_cdf(1 - 1 / (count * e))
    return deviation * ((1 - _EULER_MASCHERONI) * quantile + _EULER_MASCHERONI * upper_quantile)


def compute_period_sharpe(returns: Sequence[float]) -> float | None:
    """Return the mean of the returns per standard deviation, not annualized. None if it is undefined."""
    count = len(returns)
    if count < _MIN_RETURNS:
        return None
    mean = fsum(returns) / count
    variance = fsum((value - mean) ** 2 for value in returns) / (count - 1)
    return mean / sqrt(variance) if variance > 0 else None


def compute_deflated_sharpe(returns: Sequence[float], expected_maximum: float) -> float | None:
    """Return the probability that the true Sharpe ratio exceeds the expected maximum of luck alone.

    It allows for the skewness and the kurtosis of the returns. None if it is undefined.
    """
    ratio = compute_period_sharpe(returns)
    if ratio is None:
        return None
    count, mean = len(returns), fsum(returns) / len(returns)
    moments = [fsum((value - mean) ** power for value in returns) / count for power in (2, 3, 4)]
    skewness, kurtosis = moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2
    spread = max(1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2, _MIN_SPREAD)
    return _NORMAL.cdf((ratio - expected_maximum) * sqrt(count - 1) / sqrt(spread))
