"""Statistics against values that another library computed from the same returns.

The values were computed once with empyrical-reloaded 0.7.1 (annual_volatility, sharpe_ratio, sortino_ratio,
max_drawdown, cum_returns_final, for 252 days a year).
"""

from itertools import accumulate

import pytest

from app.performance.rules.drawdowns import compute_max_drawdown
from app.performance.rules.returns import compute_growth_index
from app.performance.rules.statistics import compute_sharpe, compute_sortino, compute_volatility
from app.timestamps import Timestamp
from tests.support.values import require_value

DAYS = 1000


def list_returns():
    """Return daily returns between -0.96% and 1.04%, from a linear congruential generator."""
    states = accumulate(range(DAYS), lambda state, _: (1103515245 * state + 12345) % 2**31, initial=12345)
    return [(state % 2001 - 1000) / 100_000 + 0.0004 for state in list(states)[1:]]


def test_statistics_equal_the_recorded_ones():
    returns = list_returns()
    assert returns[:2] == pytest.approx([0.00532, -0.00313])
    index = require_value(compute_growth_index(1 + value for value in returns))
    drawdown = require_value(compute_max_drawdown([Timestamp(f"{day:04}") for day in range(DAYS + 1)], index))
    statistics = (
        compute_volatility(returns, 252),
        compute_sharpe(returns, 252),
        compute_sortino(returns, 252),
        -drawdown.share,
        index[-1] - 1,
    )
    expected = (
        *(0.08813013613682609, 1.2281156565100693, 1.8652938600906654),
        *(-0.09659397887463926, 0.5128961604582081),
    )
    assert list(map(require_value, statistics)) == pytest.approx(expected, rel=1e-12)
