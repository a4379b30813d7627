"""Run a strategy on bars of the past: `python -m app.backtest MODULE:CLASS --data FILE`.

The file has the columns symbol,start,open,high,low,close,volume; a folder has several such files. `--data
bars` are the bars that the service stores, in the database of DATABASE_URL. The folder of `--out` gets
orders.csv, fills.csv, equity.csv, cash.csv, statistics.json and report.html. `--json` prints one line.

Exit status: 0 done, 1 the strategy failed, 2 the data or an argument is wrong.
"""

import argparse
import json
import logging
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.backtest_inputs.arguments import add_run_arguments, build_settings
from app.backtest_inputs.bars import OpenBars, open_files
from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.rules.settings import BacktestSettings
from app.backtests.service.engine import BacktestRun
from app.backtests.service.recorder import Recorder
from app.backtests.service.report import build_report
from app.backtests.service.results import build_result, compute_statistics
from app.backtests.service.runs import RunStrategy, prepare_sandboxed, prepare_trusted
from app.clock import monotonic_seconds
from app.replay import ProgressBar
from app.sandbox.rules.sources import is_own_code

DONE, FAILED, CANNOT = 0, 1, 2


class CompletedRun(NamedTuple):
    """A finished run: the run of the engine, its result as JSON values, and its duration in seconds."""

    run: BacktestRun
    result: dict[str, Any]
    seconds: float


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m app.backtest", description="Run a strategy on past bars."
    )
    add_run_arguments(parser)
    parser.add_argument("--out", type=Path, help="the folder of the results")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def run_backtest(namespace: argparse.Namespace, progress: "RunProgress") -> CompletedRun:
    """Run a backtest. Raises InvalidBacktest and StrategyFailed."""
    settings = build_settings(namespace)
    with open_bars(namespace) as bars:
        run_strategy = _prepare_strategy(namespace, complete_settings(settings, bars))
        progress.start(bars.size, bars.unit)
        started = monotonic_seconds()
        with closing(Recorder(namespace.out)) as recorder:
            finished_run = run_strategy(bars.symbols, recorder, bars.read_blocks(progress.update))
        seconds = monotonic_seconds() - started
        hashes = {
            "code_hash": finished_run.code_hash,
            "data_hash": bars.get_data_hash(),
            "result_hash": finished_run.run.result_hash,
        }
    statistics = compute_statistics(finished_run.run)
    result = build_result(namespace.strategy, finished_run.parameters, hashes, statistics)
    return CompletedRun(finished_run.run, result, seconds)


def complete_settings(settings: BacktestSettings, bars: OpenBars) -> BacktestSettings:
    """Return the settings with the currency pairs of the bars, and the corporate actions stored beside them.

    A file of actions replaces those that are stored.
    """
    return settings._replace(actions=settings.actions or bars.actions, rate_symbols=tuple(bars.rate_symbols))


@contextmanager
def open_bars(namespace: argparse.Namespace) -> Iterator[OpenBars]:
    """Open the bars of the arguments. Raises InvalidBacktest."""
    if namespace.data is not None:
        yield open_files(namespace)
        return
    # Imported here, since a backtest on files needs no memory for the service.
    from app.backtest_inputs.stored_data import open_stored  # noqa: PLC0415  # only the stored bars need it

    with open_stored(namespace) as bars:
        yield bars


def _prepare_strategy(namespace: argparse.Namespace, settings: BacktestSettings) -> RunStrategy:
    """Return the runner of the strategy: in a sandbox, unless its code is trusted or of this project."""
    parameters = dict(namespace.param)
    sandbox = namespace.sandbox or ("off" if is_own_code(namespace.strategy) else "on")
    if sandbox == "on":
        return prepare_sandboxed(namespace.strategy, parameters, settings)
    return prepare_trusted(namespace.strategy, parameters, settings)


def write_results(folder: Path, outcome: CompletedRun) -> None:
    """Write the statistics and the report beside the orders, fills and equity."""
    text = json.dumps(outcome.result, indent=2)
    (folder / "statistics.json").write_text(f"{text}\n", encoding="utf-8")
    (folder / "report.html").write_text(build_report(outcome.result, outcome.run.points), encoding="utf-8")


def build_summary(outcome: CompletedRun) -> dict[str, Any]:
    """Return the summary that `--json` prints."""
    statistics, seconds = outcome.result["statistics"], outcome.seconds
    return {
        "bars": outcome.run.bars,
        "seconds": round(seconds, 3),
        "bars_per_second": round(outcome.run.bars / seconds) if seconds else None,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **{name: statistics[name] for name in ("orders", "fills", "charges", "equity_final")},
        "result_hash": outcome.run.result_hash,
    }


class RunProgress:
    """A progress bar on standard error."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None
        self._size = 1

    def start(self, size: int, unit: str) -> None:
        """Begin, with how much there is to read."""
        self._size = max(size, 1)
        self._bar = ProgressBar(sys.stderr, self._size, unit)

    def update(self, read_bytes: int) -> None:
        """Draw the progress after so much was read."""
        if self._bar is not None:
            self._bar.draw(min(read_bytes, self._size))

    def finish(self) -> None:
        """End the line."""
        if self._bar is not None:
            self._bar.finish()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a backtest and return the exit status."""
    args, progress = build_parser().parse_args(arguments), RunProgress()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    status, message = DONE, ""
    try:
        outcome = run_backtest(args, progress)
        if args.out is not None:
            write_results(args.out, outcome)
    except (InvalidBacktest, OSError) as error:
        status, message = CANNOT, str(error)
    except StrategyFailed as error:
        status, message = FAILED, "\n".join((*error.failure.lines, str(error)))
    progress.finish()
    if message:
        sys.stderr.write(f"{message}\n")
        return status
    summary = build_summary(outcome)
    lines = [json.dumps(summary)] if args.json else [f"{name}: {value}" for name, value in summary.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
