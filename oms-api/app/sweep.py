"""Run a strategy with many sets of parameters: `python -m app.sweep MODULE:CLASS --data FILE --grid k=1,2`.

It shares the other arguments with `python -m app.backtest`. `sweep.csv` has a line for each set, with ratios
in and out of sample. It is the same for any number of workers.

Exit status: 0 done, 1 the strategy failed, 2 the data or an argument is wrong.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from app.backtest import CANNOT, DONE, FAILED, complete_settings, open_bars
from app.backtest_inputs.arguments import add_run_arguments, build_settings, parse_pair
from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.rules.sweeps import (
    ParameterSet,
    SetResult,
    SweepRow,
    Window,
    build_grid,
    build_rows,
    compute_walk_forward,
    draw_sets,
    list_windows,
    split_days,
)
from app.backtests.service.runs import inspect_strategy
from app.backtests.service.sweeps import SweepTask, run_sets
from app.clock import monotonic_seconds
from app.performance.rules.values import CALENDAR_DAYS_A_YEAR, TRADING_DAYS_A_YEAR
from app.replay import ProgressBar
from app.sandbox.rules.sources import is_own_code

COLUMNS = (
    "parameters", "seed", "in_sample_sharpe", "out_of_sample_sharpe", "deflated_sharpe", "pnl_net",
)  # fmt: skip
MAX_WORKERS = 64
_RATIO_PLACES = 6
_SUNDAY, _SATURDAY = 3, 2  # days since 1970-01-01, modulo 7


class Sweep(NamedTuple):
    """A finished sweep: its rows, the ratio of the walk forward, and how long it took."""

    rows: Sequence[SweepRow]
    walk_forward_sharpe: float | None
    seconds: float


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m app.sweep", description="Run a strategy with many sets of parameters."
    )
    add_run_arguments(parser)
    add = parser.add_argument
    add("--grid", type=parse_pair, action="append", default=[], help="values of a parameter: k=1,2,3")
    add("--random", type=parse_count, metavar="N", help="draw N sets from the grid or the declared ranges")
    add("--walk-forward", type=parse_days, metavar="TRAIN,TEST", help="days in and out of sample, in turn")
    add("--workers", type=parse_workers, default=min(os.cpu_count() or 1, MAX_WORKERS))
    add("--out", type=Path, default=Path(), help="the folder of sweep.csv; by default the current one")
    add("--json", action="store_true", help="print a summary as JSON")
    return parser


def parse_count(text: str) -> int:
    """Return a positive whole number."""
    if not (text.isascii() and text.isdigit() and int(text[:10]) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return int(text)


def parse_workers(text: str) -> int:
    """Return a number of processes."""
    count = parse_count(text)
    if count > MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"at most {MAX_WORKERS} workers are allowed")
    return count


def parse_days(text: str) -> tuple[int, int]:
    """Return two numbers of days from "90,30"."""
    train, _, test = text.partition(",")
    return parse_count(train), parse_count(test)


def run_sweep(namespace: argparse.Namespace) -> Sweep:
    """Run a sweep. Raises InvalidBacktest and StrategyFailed."""
    settings = build_settings(namespace)
    is_trusted = (namespace.sandbox or ("off" if is_own_code(namespace.strategy) else "on")) == "off"
    sets = list_sets(namespace, is_trusted=is_trusted)
    with open_bars(namespace) as bars:
        settings = complete_settings(settings, bars)
        symbols, blocks = bars.symbols, list(bars.read_blocks(lambda _: None))
    if not blocks:
        raise InvalidBacktest("There are no bars of these symbols in this period.")
    started = monotonic_seconds()
    results, progress = list[SetResult](), ProgressBar(sys.stderr, len(sets), "sets")
    for result in run_sets(
        SweepTask(namespace.strategy, is_trusted, symbols, settings, blocks), sets, namespace.workers
    ):
        results.append(result)
        progress.draw(len(results))
    progress.finish()
    return _evaluate_results(namespace, results, monotonic_seconds() - started)


def list_sets(namespace: argparse.Namespace, *, is_trusted: bool) -> list[ParameterSet]:
    """Return the sets of parameters to run. Raises InvalidBacktest if one of them is wrong."""
    fixed = dict(namespace.param)
    grid: Mapping[str, list[str]] = {name: values.split(",") for name, values in namespace.grid}
    if namespace.random is None:
        if not grid:
            raise InvalidBacktest("Name the values of a parameter with --grid, or use --random.")
        sets = build_grid(grid, fixed)
        inspect_strategy(namespace.strategy, sets, is_trusted=is_trusted)
        return sets
    tried = build_grid(grid, fixed)
    descriptions = inspect_strategy(namespace.strategy, tried, is_trusted=is_trusted)
    return draw_sets(namespace.random, namespace.seed, fixed, grid, descriptions)


def _evaluate_results(namespace: argparse.Namespace, results: Sequence[SetResult], seconds: float) -> Sweep:
    days = sorted({day_return.day for result in results for day_return in result.returns})
    windows: list[Window] = []
    if days:
        windows = list_windows(days, *namespace.walk_forward) if namespace.walk_forward else split_days(days)
    has_weekends = any(day % 7 in {_SATURDAY, _SUNDAY} for day in days)
    days_a_year = CALENDAR_DAYS_A_YEAR if has_weekends else TRADING_DAYS_A_YEAR
    forward = compute_walk_forward(results, windows, days_a_year) if namespace.walk_forward else None
    return Sweep(build_rows(results, windows, days_a_year), forward, seconds)


def write_rows(path: Path, rows: Sequence[SweepRow], seed: int) -> None:
    """Write `sweep.csv`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            ratios = (row.in_sample_sharpe, row.out_of_sample_sharpe, row.deflated_sharpe)
            parameters = json.dumps(row.parameters, separators=(",", ":"))
            writer.writerow((parameters, seed, *map(_format_ratio, ratios), row.pnl_net))


def _format_ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.{_RATIO_PLACES}f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sweep and return the exit status."""
    args = build_parser().parse_args(arguments)
    try:
        sweep = run_sweep(args)
        write_rows(args.out / "sweep.csv", sweep.rows, args.seed)
    except (InvalidBacktest, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return CANNOT
    except StrategyFailed as error:
        sys.stderr.write("\n".join((*error.failure.lines, f"{error}\n")))
        return FAILED
    summary = {
        "sets": len(sweep.rows),
        "seconds": round(sweep.seconds, 3),
        "walk_forward_sharpe": _format_ratio(sweep.walk_forward_sharpe) or None,
        "file": str(args.out / "sweep.csv"),
    }
    lines = [json.dumps(summary)] if args.json else [f"{name}: {value}" for name, value in summary.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
