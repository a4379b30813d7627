"""Statistics of daily simple returns. The risk-free rate is 0."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from app.money import ZERO
from app.performance.rules.values import CONTEXT, ONE

YEAR = timedelta(days=365.25)
_MICROSECOND = timedelta(microseconds=1)


def compute_volatility(returns: Sequence[Decimal], days_a_year: int) -> Decimal | None:
    """Return the annualised sample standard deviation (n - 1), or None for fewer than two returns."""
    deviation = _standard_deviation(returns)
    return None if deviation is None else CONTEXT.multiply(deviation, _annual_factor(days_a_year))


def compute_sharpe(returns: Sequence[Decimal], days_a_year: int) -> Decimal | None:
    """Return the annualised Sharpe ratio, or None if the returns do not vary."""
    return _annualize_ratio(returns, _standard_deviation(returns), days_a_year)


def compute_sortino(returns: Sequence[Decimal], days_a_year: int) -> Decimal | None:
    """Return the annualised Sortino ratio, or None without a loss. Losses are averaged over all returns."""
    if not returns:
        return None
    squares = sum((CONTEXT.multiply(loss, loss) for loss in returns if loss < 0), ZERO)
    return _annualize_ratio(returns, CONTEXT.sqrt(CONTEXT.divide(squares, len(returns))), days_a_year)


def compute_cagr(growth: Decimal, period: timedelta) -> Decimal | None:
    """Return the compound annual growth rate. None for less than a year, or if everything was lost."""
    if period < YEAR or growth <= 0:
        return None
    exponent = CONTEXT.divide(Decimal(YEAR // _MICROSECOND), Decimal(period // _MICROSECOND))
    return CONTEXT.power(growth, exponent) - ONE


def compute_calmar(cagr: Decimal | None, max_drawdown: Decimal | None) -> Decimal | None:
    """Return the annual growth per maximum drawdown, or None without both."""
    if cagr is None or not max_drawdown:
        return None
    return CONTEXT.divide(cagr, max_drawdown)


def _annualize_ratio(returns: Sequence[Decimal], risk: Decimal | None, days_a_year: int) -> Decimal | None:
    if not risk:
        return None
    return CONTEXT.multiply(CONTEXT.divide(_mean(returns), risk), _annual_factor(days_a_year))


def _standard_deviation(returns: Sequence[Decimal]) -> Decimal | None:
    if len(returns) < 2:
        return None
    mean = _mean(returns)
    squares = sum((CONTEXT.multiply(one - mean, one - mean) for one in returns), ZERO)
    return CONTEXT.sqrt(CONTEXT.divide(squares, len(returns) - 1))


def _mean(returns: Sequence[Decimal]) -> Decimal:
    return CONTEXT.divide(sum(returns, ZERO), len(returns))


def _annual_factor(days_a_year: int) -> Decimal:
    return CONTEXT.sqrt(Decimal(days_a_year))
