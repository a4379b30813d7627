"""The parameter sets of a sweep, and its days in and out of sample."""

from decimal import Decimal

import pytest

from app.backtests.errors import InvalidBacktest
from app.backtests.rules.sweeps import (
    DayReturn,
    SetResult,
    Window,
    build_grid,
    build_rows,
    compute_walk_forward,
    draw_sets,
    list_windows,
    split_days,
)
from slackoms_strategy import ParameterDescription

INTEGER = ParameterDescription("fast", "a whole number", "5", "", "1", "9", ())
NUMBER = ParameterDescription("share", "a number", "1", "", "0.5", "1.5", ())
SWITCH = ParameterDescription("late", "true or false", "false", "", None, None, ())
WORD = ParameterDescription("kind", "text", "a", "", None, None, ("a", "b"))
FREE = ParameterDescription("size", "a number", "1", "", "0", None, ())


def test_a_grid_has_each_combination_in_order():
    sets = build_grid({"fast": ["1", "2"], "slow": ["8", "9"]}, {"size": "5"})
    assert [(item["fast"], item["slow"], item["size"]) for item in sets] == [
        ("1", "8", "5"), ("1", "9", "5"), ("2", "8", "5"), ("2", "9", "5"),
    ]  # fmt: skip
    with pytest.raises(InvalidBacktest, match="160000 sets of parameters; at most 100000"):
        build_grid({"a": ["1"] * 400, "b": ["1"] * 400}, {})


def test_random_sets_are_different_repeatable_and_within_the_ranges():
    descriptions = [INTEGER, NUMBER, SWITCH, WORD, FREE]
    sets = draw_sets(50, 7, {}, {"slow": ["8", "9"]}, descriptions)
    assert sets == draw_sets(50, 7, {}, {"slow": ["8", "9"]}, descriptions)
    assert sets != draw_sets(50, 8, {}, {"slow": ["8", "9"]}, descriptions)
    assert len({tuple(parameters.items()) for parameters in sets}) == 50
    assert all(1 <= int(item["fast"]) <= 9 and item["slow"] in {"8", "9"} for item in sets)
    assert all(Decimal("0.5") <= Decimal(item["share"]) <= Decimal("1.5") for item in sets)
    assert {item["late"] for item in sets} == {"true", "false"}
    assert {item["kind"] for item in sets} == {"a", "b"}
    assert not any("size" in parameters for parameters in sets)


def test_fixed_parameters_do_not_vary_and_small_ranges_give_fewer_sets():
    sets = draw_sets(50, 7, {"late": "true"}, {}, [SWITCH, WORD])
    assert sorted(item["kind"] for item in sets) == ["a", "b"]
    assert {item["late"] for item in sets} == {"true"}
    with pytest.raises(InvalidBacktest, match="No parameter has a range"):
        draw_sets(5, 7, {"late": "true"}, {}, [SWITCH, FREE])


def test_walk_forward_windows_advance_by_the_test_days():
    assert list_windows([100, 129], 10, 5) == [
        Window(100, 110, 115), Window(105, 115, 120), Window(110, 120, 125), Window(115, 125, 130),
    ]  # fmt: skip
    assert list_windows([100, 111], 10, 5) == [Window(100, 110, 112)]
    with pytest.raises(InvalidBacktest, match="There are 10 days"):
        list_windows([100, 109], 10, 5)


def test_without_a_walk_forward_the_last_third_is_out_of_sample():
    assert split_days(list(range(100, 109))) == [Window(100, 106, 109)]
    assert split_days([100]) == [Window(100, 100, 101)]


def require_ratio(ratio: float | None) -> float:
    """Return a ratio that must not be None."""
    assert ratio is not None
    return ratio


def _build_result(*shares):
    return SetResult({}, [DayReturn(100 + day, share) for day, share in enumerate(shares)], "1.00")


def test_a_set_that_only_fits_the_past_shows_in_the_columns():
    good, bad = [0.02, 0.03, 0.01, 0.02], [-0.02, -0.03, -0.01, -0.02]
    fitted, steady = _build_result(*good, *bad), _build_result(0.01, 0.02, 0.0, 0.01, *good)
    windows = [Window(100, 104, 108)]
    first, second = build_rows([fitted, steady], windows, 252)
    assert require_ratio(first.in_sample_sharpe) > require_ratio(second.in_sample_sharpe) > 0
    assert require_ratio(first.out_of_sample_sharpe) < 0 < require_ratio(second.out_of_sample_sharpe)
    assert require_ratio(first.deflated_sharpe) > require_ratio(second.deflated_sharpe)
    assert require_ratio(compute_walk_forward([fitted, steady], windows, 252)) < 0  # it chose what fitted
    assert require_ratio(compute_walk_forward([steady], windows, 252)) > 0


def test_a_set_without_trades_has_no_ratios():
    (row,) = build_rows([_build_result(*[0.0] * 8)], [Window(100, 104, 108)], 252)
    assert row.in_sample_sharpe is row.out_of_sample_sharpe is row.deflated_sharpe is None
    assert compute_walk_forward([_build_result(*[0.0] * 8)], [Window(100, 104, 108)], 252) is None
