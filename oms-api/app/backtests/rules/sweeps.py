"""Sweeps: which sets of parameters to run, and how their returns are judged."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import fsum
from random import Random
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest
from app.performance.rules.deflated_sharpe import (
    compute_deflated_sharpe,
    compute_expected_maximum,
    compute_period_sharpe,
)
from app.performance.rules.statistics import compute_sharpe
from slackoms_strategy import ParameterDescription

MAX_SETS = 100_000
IN_SAMPLE_SHARE = 2 / 3  # without walk-forward, the first part of the days
_RANDOM_PLACES = 4
_ATTEMPTS_PER_SET = 20
ParameterSet = Mapping[str, str]


class DayReturn(NamedTuple):
    """The return of a UTC day: 0.01 is 1%. `day` counts from 1970-01-01."""

    day: int
    share: float


class SetResult(NamedTuple):
    """The result of a set of parameters."""

    parameters: ParameterSet
    returns: Sequence[DayReturn]
    pnl_net: str


class Window(NamedTuple):
    """In-sample days [start, split) and out-of-sample days [split, end)."""

    start: int
    split: int
    end: int


class SweepRow(NamedTuple):
    """A line of `sweep.csv`. Ratios are None where undefined."""

    parameters: ParameterSet
    in_sample_sharpe: float | None
    out_of_sample_sharpe: float | None
    deflated_sharpe: float | None
    pnl_net: str


def build_grid(grid: Mapping[str, Sequence[str]], fixed: ParameterSet) -> list[ParameterSet]:
    """Return each combination of the values, with the fixed ones. Raises InvalidBacktest."""
    size = 1
    for values in grid.values():
        size *= len(values)
    if size > MAX_SETS:
        raise InvalidBacktest(f"The grid has {size} sets of parameters; at most {MAX_SETS} are allowed.")
    return [{**fixed, **dict(zip(grid, values, strict=True))} for values in product(*grid.values())]


def draw_sets(
    count: int, seed: int, fixed: ParameterSet, grid: Mapping[str, Sequence[str]],
    descriptions: Sequence[ParameterDescription],
) -> list[ParameterSet]:  # fmt: skip
    """Return different random sets: of the values of the grid, else of the ranges that the strategy declares.

    There are fewer than `count` if the ranges have fewer. Raises InvalidBacktest if nothing varies.
    """
    ranges = {
        description.name: description
        for description in descriptions
        if description.name not in fixed and _has_range(description)
    }
    if not ranges and not grid:
        raise InvalidBacktest("No parameter has a range to draw from. Name values with --grid.")
    random, sets_by_values = Random(seed), dict[tuple[str, ...], ParameterSet]()  # noqa: S311  # reproducible, not secret
    for _ in range(min(count, MAX_SETS) * _ATTEMPTS_PER_SET):
        parameters = {
            name: _draw_value(random, parameter_description)
            for name, parameter_description in ranges.items()
            if name not in grid
        }
        parameters |= {name: random.choice(values) for name, values in grid.items()}
        sets_by_values.setdefault(tuple(parameters.values()), {**fixed, **parameters})
        if len(sets_by_values) == count:
            break
    return list(sets_by_values.values())


def list_windows(days: Sequence[int], train: int, test: int) -> list[Window]:
    """Return the windows of a walk forward: each trains on some days, and tests on the next ones.

    Raises InvalidBacktest if the days are too few for one.
    """
    first, last = days[0], days[-1] + 1
    starts = range(first, last - train, test)
    windows = [Window(start, start + train, min(start + train + test, last)) for start in starts]
    if not windows:
        raise InvalidBacktest(f"There are {last - first} days; --walk-forward needs more than {train}.")
    return windows


def split_days(days: Sequence[int]) -> list[Window]:
    """Return the only window without a walk forward."""
    first_out_of_sample = days[min(round(len(days) * IN_SAMPLE_SHARE), len(days) - 1)]
    return [Window(days[0], first_out_of_sample, days[-1] + 1)]


def build_rows(results: Sequence[SetResult], windows: Sequence[Window], days_a_year: int) -> list[SweepRow]:
    """Return the lines of the sets, in their order.

    The in-sample ratio is the mean of the windows' ratios. The deflated ratio is computed from all in-sample
    days, with all sets as trials.
    """
    trials = [_select_in_sample(set_result.returns, windows) for set_result in results]
    ratios = [ratio for ratio in map(compute_period_sharpe, trials) if ratio is not None]
    expected = compute_expected_maximum(ratios)
    return [
        SweepRow(
            result.parameters,
            _compute_in_sample_average(result.returns, windows, days_a_year),
            compute_sharpe(_select_out_of_sample(result.returns, windows), days_a_year),
            compute_deflated_sharpe(returns, expected),
            result.pnl_net,
        )
        for result, returns in zip(results, trials, strict=True)
    ]


def compute_walk_forward(
    results: Sequence[SetResult], windows: Sequence[Window], days_a_year: int
) -> float | None:
    """Return the Sharpe ratio of the out-of-sample returns of the best in-sample set of each window."""
    returns: list[float] = []
    for window in windows:
        ratios = [_compute_in_sample_average(result.returns, [window], days_a_year) for result in results]
        ranked_ratios = [(ratio, -number) for number, ratio in enumerate(ratios) if ratio is not None]
        if ranked_ratios:
            best = results[-max(ranked_ratios)[1]]
            returns += _select_out_of_sample(best.returns, [window])
    return compute_sharpe(returns, days_a_year)


def _compute_in_sample_average(
    returns: Sequence[DayReturn], windows: Sequence[Window], days_a_year: int
) -> float | None:
    ratios = [compute_sharpe(_select_in_sample(returns, [window]), days_a_year) for window in windows]
    known_ratios = [ratio for ratio in ratios if ratio is not None]
    return fsum(known_ratios) / len(known_ratios) if known_ratios else None


def _select_in_sample(returns: Sequence[DayReturn], windows: Sequence[Window]) -> list[float]:
    return [
        day_return.share
        for day_return in returns
        if any(window.start <= day_return.day < window.split for window in windows)
    ]


def _select_out_of_sample(returns: Sequence[DayReturn], windows: Sequence[Window]) -> list[float]:
    return [
        day_return.share
        for day_return in returns
        if any(window.split <= day_return.day < window.end for window in windows)
    ]


def _has_range(parameter_description: ParameterDescription) -> bool:
    return (
        bool(parameter_description.choices)
        or parameter_description.type == "true or false"
        or None not in {parameter_description.minimum, parameter_description.maximum}
    )


def _draw_value(random: Random, parameter_description: ParameterDescription) -> str:
    if parameter_description.choices:
        return random.choice(parameter_description.choices)
    if parameter_description.minimum is None or parameter_description.maximum is None:
        return random.choice(("true", "false"))
    if parameter_description.type == "a whole number":
        return str(random.randint(int(parameter_description.minimum), int(parameter_description.maximum)))
    low, high = Decimal(parameter_description.minimum), Decimal(parameter_description.maximum)
    value = round(low + (high - low) * Decimal(random.random()), _RANDOM_PLACES)
    return f"{min(max(value, low), high):f}"
