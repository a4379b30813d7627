"""Runs a strategy on bars of the past: `python -m app.backtest MODULE:CLASS --data FILE`.

The file has the columns symbol,start,open,high,low,close,volume; a folder has several such files. The folder
of `--out` gets orders.csv, fills.csv, equity.csv, statistics.json and report.html. `--json` prints one line.

Exit status: 0 done, 1 the strategy failed, 2 the data or an argument is wrong.
"""

import argparse
import json
import logging
import resource
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.rules.settings import (
    BacktestSettings,
    InstrumentTerms,
    get_default_exchange,
    parse_costs,
    parse_limit,
)
from app.backtests.service.bar_files import BarFiles, Selection
from app.backtests.service.engine import BacktestRun
from app.backtests.service.recorder import Recorder
from app.backtests.service.report import build_report
from app.backtests.service.results import build_result, compute_statistics
from app.backtests.service.runs import RunStrategy, is_own_code, prepare_sandboxed, prepare_trusted
from app.brokers.rules.settings import PaperSettings, Slippage
from app.clock import MILLISECOND, monotonic_seconds
from app.costs.rules.markets import Exchange
from app.market_data.rules.bars import Interval
from app.money import parse_plain
from app.replay import ProgressBar

DONE, FAILED, CANNOT = 0, 1, 2


class Outcome(NamedTuple):
    """A finished run: what it computed, its result, and how long it took."""

    run: BacktestRun
    result: dict[str, Any]
    seconds: float


def parse_amount(text: str) -> Decimal:
    """Return an amount of at least zero."""
    amount = parse_plain(text)
    if amount is None or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount")
    return amount


def parse_instant(text: str) -> int:
    """Return a date or a time in UTC as seconds since 1970."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be such as 2026-01-31T15:04Z") from None
    return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp())


def parse_pair(text: str) -> tuple[str, str]:
    """Return a name and its value from "name=value"."""
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} must be such as name=value")
    return name, value


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m app.backtest", description="Run a strategy on past bars."
    )
    add_run_arguments(parser)
    parser.add_argument("--out", type=Path, help="the folder of the results")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run, which those of a sweep share."""
    add = parser.add_argument
    add("strategy", metavar="MODULE:CLASS")
    add("--data", type=Path, required=True, help="a CSV file of bars, or a folder of them")
    add("--symbols", default="", help="such as AAPL,MSFT; by default all of the file")
    add("--from", dest="start", type=parse_instant, help="the first day or instant, in UTC")
    add("--to", dest="end", type=parse_instant, help="the first day or instant that is left out, in UTC")
    add("--interval", type=Interval, default=Interval.MINUTE, help="1m, 5m, 15m, 1h or 1d")
    add("--param", type=parse_pair, action="append", default=[], help="a parameter of the strategy: k=v")
    add("--cash", type=parse_amount, default=Decimal(1_000_000))
    add("--costs", default="none", help="none, zerodha, us_equity, ibkr_fixed, flat:1.00 or percent:0.1")
    add("--seed", type=int, default=0)
    add(
        "--sandbox",
        choices=("on", "off"),
        help="off: trust the strategy's code; by default on, except for examples",
    )
    add("--gaps", choices=("error", "allow"), default="error", help="allow: bars may be missing in a day")
    add("--exchange", choices=("", *Exchange), help="of all symbols; by default that of the costs")
    add("--product", default="", help="such as MIS or CNC")
    add("--tick", type=parse_amount, help="the tick size of all symbols")
    add("--lot", type=parse_amount, help="the lot size of all symbols")
    add("--limit", action="append", default=[], help="a risk limit such as MAX_DAILY_LOSS=5000")
    add("--risk", choices=("on", "off"), default="on", help="off: no pre-trade checks")
    add("--sessions", choices=("on", "off"), default="off", help="on: orders follow the exchange")
    add("--spread", type=parse_amount, default=Decimal(0), help="the bid-ask spread, in currency")
    add("--slippage", type=Slippage, default=Slippage.NONE, help=", ".join(Slippage))
    add("--basis-points", type=parse_amount, default=Decimal(0), help="of the slippage basis_points")
    add("--participation", type=parse_amount, help="the share of a bar's volume that can fill: 0.1 is 10%%")
    add("--latency-milliseconds", type=int, default=0)


def build_settings(namespace: argparse.Namespace) -> BacktestSettings:
    """Return the settings of the arguments. Raise InvalidBacktest."""
    try:
        costs = parse_costs(namespace.costs)
        limits = dict(map(parse_limit, namespace.limit))
    except ValueError as error:
        raise InvalidBacktest(f"--costs or --limit: {error}.") from None
    exchange = get_default_exchange(costs.schedule) if namespace.exchange is None else namespace.exchange
    market = PaperSettings(
        spread=namespace.spread,
        participation=namespace.participation,
        slippage=namespace.slippage,
        basis_points=namespace.basis_points,
        latency=namespace.latency_milliseconds * MILLISECOND,
    )
    return BacktestSettings(
        interval=namespace.interval,
        cash=namespace.cash,
        costs=costs,
        instruments=InstrumentTerms(exchange, namespace.tick, namespace.lot),
        market=market,
        product=namespace.product,
        limits=limits,
        has_risk_checks=namespace.risk == "on",
        enforces_sessions=namespace.sessions == "on",
        seed=namespace.seed,
        strategy=namespace.strategy.partition(":")[2],
    )


def run_backtest(namespace: argparse.Namespace, progress: "ByteProgress") -> Outcome:
    """Run a backtest. Raise InvalidBacktest and StrategyFailed."""
    run_strategy = _prepare_strategy(namespace, build_settings(namespace))
    files = open_files(namespace)
    symbols = list_names(namespace) or files.list_symbols()
    progress.start(files.count_bytes())
    started = monotonic_seconds()
    with closing(Recorder(namespace.out)) as recorder:
        finished = run_strategy(symbols, recorder, files.read_blocks(progress.update))
    seconds = monotonic_seconds() - started
    hashes = {
        "code_hash": finished.code_hash,
        "data_hash": files.data_hash,
        "result_hash": finished.run.result_hash,
    }
    statistics = compute_statistics(finished.run)
    result = build_result(namespace.strategy, finished.parameters, hashes, statistics)
    return Outcome(finished.run, result, seconds)


def list_names(namespace: argparse.Namespace) -> list[str]:
    """Return the symbols that the arguments name, empty for all of the data."""
    return [name.strip().upper() for name in namespace.symbols.split(",") if name.strip()]


def open_files(namespace: argparse.Namespace) -> BarFiles:
    """Return the bars of the arguments. Raise InvalidBacktest."""
    selection = Selection(list_names(namespace))
    if namespace.start is not None:
        selection = selection._replace(start=namespace.start)
    if namespace.end is not None:
        selection = selection._replace(end=namespace.end)
    return BarFiles(namespace.data, namespace.interval, selection, allow_gaps=namespace.gaps == "allow")


def _prepare_strategy(namespace: argparse.Namespace, settings: BacktestSettings) -> RunStrategy:
    """Return what runs the strategy: in a sandbox, unless its code is of this project or trusted."""
    parameters = dict(namespace.param)
    sandbox = namespace.sandbox or ("off" if is_own_code(namespace.strategy) else "on")
    if sandbox == "on":
        return prepare_sandboxed(namespace.strategy, parameters, settings)
    return prepare_trusted(namespace.strategy, parameters, settings)


def write_results(folder: Path, outcome: Outcome) -> None:
    """Write the statistics and the report beside the orders, fills and equity."""
    text = json.dumps(outcome.result, indent=2)
    (folder / "statistics.json").write_text(f"{text}\n", encoding="utf-8")
    (folder / "report.html").write_text(build_report(outcome.result, outcome.run.points), encoding="utf-8")


def build_summary(outcome: Outcome) -> dict[str, Any]:
    """Return what `--json` prints."""
    statistics, seconds = outcome.result["statistics"], outcome.seconds
    return {
        "bars": outcome.run.bars,
        "seconds": round(seconds, 3),
        "bars_per_second": round(outcome.run.bars / seconds) if seconds else None,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **{name: statistics[name] for name in ("orders", "fills", "charges", "equity_final")},
        "result_hash": outcome.run.result_hash,
    }


class ByteProgress:
    """A progress bar on standard error."""

    def __init__(self) -> None:
        self._bar: ProgressBar | None = None
        self._size = 1

    def start(self, size: int) -> None:
        """Begin, with the number of bytes to read."""
        self._bar, self._size = ProgressBar(sys.stderr, max(size, 1), "bytes"), max(size, 1)

    def update(self, byte_count: int) -> None:
        """Draw the progress after so many bytes."""
        if self._bar is not None:
            self._bar.draw(min(byte_count, self._size))

    def finish(self) -> None:
        """End the line."""
        if self._bar is not None:
            self._bar.finish()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a backtest and return the exit status."""
    args, progress = build_parser().parse_args(arguments), ByteProgress()
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
