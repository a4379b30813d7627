"""The package that strategies import: parameters, bars, indicators."""

import subprocess
import sys
from array import array
from decimal import Decimal
from math import isnan
from pathlib import Path
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import slackoms_strategy
from slackoms_strategy import (
    AverageTrueRange,
    BarColumns,
    BooleanParameter,
    Cross,
    DecimalParameter,
    ExponentialMovingAverage,
    Highest,
    IntegerParameter,
    InvalidParameter,
    Lowest,
    SimpleMovingAverage,
    StandardDeviation,
    Strategy,
    TextParameter,
    list_parameters,
)
from slackoms_strategy.values import build_bar

closes = st.lists(st.integers(100, 10_000), min_size=1, max_size=60)


class Example(Strategy):
    count = IntegerParameter(3, "A count.", minimum=1, maximum=9)
    size = DecimalParameter("0.5", "A size.", minimum=0)
    is_short = BooleanParameter(False, "Whether to go short.")
    kind = TextParameter("a", "A kind.", choices=("a", "b"))


def build_columns(prices, places=2):
    column = array("q", prices)
    zeros = array("q", [0] * len(prices))
    return BarColumns("X", 60, places, 0, zeros, column, column, column, column, zeros)


def extend_in_parts(indicator, prices, size):
    problems = []
    for first in range(0, len(prices), size):
        problems += indicator.extend(build_columns(prices[first : first + size]))
    return problems


def test_parameters_are_parsed_from_text_and_have_defaults():
    strategy = Example(count="7", is_short="yes")
    assert strategy.count == 7
    assert strategy.size == Decimal("0.5")
    assert strategy.is_short is True
    assert strategy.kind == "a"
    descriptions = [parameter.describe() for parameter in list_parameters(Example)]
    assert descriptions[0][:6] == ("count", "a whole number", "3", "A count.", "1", "9")
    assert descriptions[3].choices == ("a", "b")


@pytest.mark.parametrize(
    ("given_values", "problem"),
    [
        ({"count": "x"}, "`count` must be a whole number, not 'x'"),
        ({"count": 1.5}, "`count` must be a whole number"),
        ({"count": 0}, "`count` must be at least 1"),
        ({"count": 10}, "`count` must be at most 9"),
        ({"size": "NaN"}, "`size` must be a number"),
        ({"is_short": "perhaps"}, "`is_short` must be true or false"),
        ({"kind": "c"}, "`kind` must be one of a, b"),
        ({"speed": 1}, "`speed` does not exist. The parameters are: count, size, is_short, kind"),
    ],
)
def test_wrong_parameter_is_named(given_values, problem):
    with pytest.raises(InvalidParameter, match=problem):
        Example(**given_values)


def test_bar_is_a_row_of_columns():
    columns = build_columns([1234, 5])._replace(volumes=array("q", [7, -1]))
    bar = build_bar(columns, 1)
    assert (bar.close, bar.volume, bar.symbol) == (Decimal("0.05"), None, "X")
    assert repr(bar) == "Bar(X 1970-01-01T00:00Z 0.05/0.05/0.05/0.05)"
    assert build_bar(columns, 0).volume == 7


@settings(max_examples=20)
@given(closes, st.integers(2, 8), st.integers(1, 20))
def test_indicators_match_their_definition_for_any_blocks(prices, length, size):
    amounts = [price / 100 for price in prices]
    windows = [amounts[max(end - length, 0) : end] for end in range(1, len(prices) + 1)]
    mean = extend_in_parts(SimpleMovingAverage(length), prices, size)
    deviation = extend_in_parts(StandardDeviation(length), prices, size)
    high = extend_in_parts(Highest(length), prices, size)
    low = extend_in_parts(Lowest(length, delay=1), prices, size)
    for row, window in enumerate(windows):
        if len(window) < length:
            assert isnan(mean[row])
            assert isnan(deviation[row])
            assert high[row] is None
        else:
            assert mean[row] == pytest.approx(fmean(window))
            assert deviation[row] == pytest.approx(stdev(window), abs=1e-9)
            assert high[row] == round(max(window) * 100)
        before = windows[row - 1] if row else []
        assert low[row] == (round(min(before) * 100) if len(before) == length else None)


@settings(max_examples=20)
@given(closes, st.integers(1, 20))
def test_smoothed_indicators_do_not_depend_on_the_blocks(prices, size):
    for create in (lambda: ExponentialMovingAverage(3), lambda: AverageTrueRange(3)):
        parts, whole = extend_in_parts(create(), prices, size), create().extend(build_columns(prices))
        assert parts == pytest.approx(whole, nan_ok=True)


def test_averages_match_hand_computed_values():
    assert ExponentialMovingAverage(3).extend(build_columns([100, 200, 300]))[2] == pytest.approx(2.25)
    first = build_columns([100, 100])
    wide = first._replace(highs=array("q", [110, 150]), lows=array("q", [100, 90]))
    assert AverageTrueRange(2).extend(wide)[1] == pytest.approx((0.1 + 0.6) / 2)


def test_cross_is_marked_once_and_a_touch_is_none():
    prices = [3, 2, 1, 3, 5, 5, 1, 1, 1, 2, 2, 2]
    crossings = Cross(SimpleMovingAverage(1), SimpleMovingAverage(2)).extend(build_columns(prices))
    assert [(row, value) for row, value in enumerate(crossings) if value] == [(3, 1.0), (6, -1.0), (9, 1.0)]


def test_more_places_continue_an_indicator():
    mean, high = SimpleMovingAverage(2), Highest(2)
    mean.extend(build_columns([100]))
    high.extend(build_columns([100]))
    assert mean.extend(build_columns([20_000], places=4)) == [1.5]
    assert high.extend(build_columns([5_000], places=4)) == [10_000]


def test_package_needs_nothing_but_python():
    folder = Path(slackoms_strategy.__file__).parent.parent
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import slackoms_strategy.examples.pairs; "
        "names = {name.partition('.')[0] for name in sys.modules}; print(sorted(names & {'app', 'pydantic'}))"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
