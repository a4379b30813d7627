"""The deflated Sharpe ratio, with the numbers of Bailey and Lopez de Prado (2014)."""

from math import sqrt
from random import Random

import pytest

from app.performance.rules.deflated_sharpe import (
    compute_deflated_sharpe,
    compute_expected_maximum,
    compute_period_sharpe,
)


def require_ratio(ratio: float | None) -> float:
    """Return a ratio that must not be None."""
    assert ratio is not None
    return ratio


def test_expected_maximum_equals_the_value_of_the_paper():
    # 100 trials whose annualized ratios have the variance 1/2: 0.1132 a day of 250.
    deviation = sqrt(0.5 / 250) * sqrt(99 / 100)
    ratios = [deviation, -deviation] * 50
    assert compute_expected_maximum(ratios) == pytest.approx(0.1132, abs=5e-5)
    assert compute_expected_maximum(ratios[:1]) == compute_expected_maximum([]) == 0.0


def test_more_trials_deflate_more_and_a_single_one_does_not():
    draw = Random(5)
    returns = [draw.gauss(0.001, 0.01) for _ in range(250)]
    probabilities = [
        require_ratio(compute_deflated_sharpe(returns, expected)) for expected in (0.0, 0.05, 0.2)
    ]
    assert probabilities == sorted(probabilities, reverse=True)
    ratio = require_ratio(compute_period_sharpe(returns))
    assert compute_deflated_sharpe(returns, ratio) == pytest.approx(0.5)


def test_negative_skewness_lowers_the_probability():
    gains = [0.02] * 95 + [-0.2] * 5
    mirrored = [2 * sum(gains) / 100 - gain for gain in gains]
    assert compute_period_sharpe(gains) == pytest.approx(compute_period_sharpe(mirrored))
    probabilities = [require_ratio(compute_deflated_sharpe(returns, 0.0)) for returns in (gains, mirrored)]
    assert probabilities[0] < probabilities[1]


def test_it_is_undefined_without_enough_different_returns():
    assert compute_deflated_sharpe([0.1, 0.2], 0.0) is None
    assert compute_deflated_sharpe([0.1] * 10, 0.0) is None
    assert compute_deflated_sharpe([1.0] * 999 + [1.01], 0.0) is not None
    assert compute_deflated_sharpe([1.0, 1.01, 1.01, 1.01], 0.0) is not None
