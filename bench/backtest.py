"""Backtests: a moving-average cross of 10 and 30 bars on a million 1-minute bars, in memory.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.backtest`. The rate is compared
with that of backtesting.py on the same bars in the same run. It is licensed under the AGPL and therefore no
requirement of this project: `--reference PYTHON` names an interpreter of an environment that has it. The peak
memory is that of ten million bars read from a file, in a separate process. `--bars` and `--memory-bars` set
other sizes.

The sandbox is compared with the same run in this process, and a sweep with two workers with one, both by
the time on the wall: they need two idle cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from time import perf_counter, process_time

from app.backtests.rules.blocks import BarBlock
from app.backtests.rules.settings import BacktestSettings, InstrumentTerms, parse_costs
from app.backtests.service.bar_files import BarFiles
from app.backtests.service.engine import BacktestEngine
from app.backtests.service.recorder import Recorder
from app.backtests.service.runs import prepare_sandboxed, prepare_trusted
from app.backtests.service.sweeps import SweepTask, run_sets
from app.market_data.rules.bars import Interval
from app.risk.rules.limits import LimitCode
from bench.report import ResultLine, check_at_least, check_at_most, median, print_lines
from slackoms_strategy.examples.moving_average_cross import MovingAverageCross

BARS, MEMORY_BARS, ROUNDS = 1_000_000, 10_000_000, 3
SWEEP_SETS, SWEEP_ROUNDS = 100, 5
START = datetime(2021, 4, 1, tzinfo=UTC)
STRATEGY = "slackoms_strategy.examples.moving_average_cross:MovingAverageCross"
HIGH = Decimal(10**9)
CAPS = (
    LimitCode.MAX_POSITION_VALUE, LimitCode.MAX_GROSS_EXPOSURE, LimitCode.MAX_NET_EXPOSURE,
    LimitCode.MAX_OPEN_ORDERS, LimitCode.MAX_DAILY_LOSS, LimitCode.MAX_DRAWDOWN,
    LimitCode.MESSAGES_PER_MINUTE,
)  # fmt: skip
FLAT = BacktestSettings(costs=parse_costs("flat:1"), has_risk_checks=False)
FULL = BacktestSettings(
    costs=parse_costs("zerodha"), instruments=InstrumentTerms("NSE"), product="MIS",
    limits=dict.fromkeys(CAPS, HIGH),
)  # fmt: skip
# The same strategy for backtesting.py. The processor time of a run goes to standard output.
REFERENCE = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

class Cross(Strategy):
    def init(self):
        mean = lambda closes, length: pd.Series(closes).rolling(length).mean()
        self.fast = self.I(mean, self.data.Close, 10)
        self.slow = self.I(mean, self.data.Close, 30)

    def next(self):
        if crossover(self.fast, self.slow):
            if not self.position:
                self.buy(size=100)
        elif crossover(self.slow, self.fast):
            if self.position:
                self.position.close()

bars = pd.read_csv(sys.argv[1], parse_dates=["start"]).set_index("start").rename(columns=str.capitalize)
bars = bars[["Open", "High", "Low", "Close", "Volume"]]
test = Backtest(bars, Cross, cash=1_000_000, commission=lambda *_: 1.0)
started = time.process_time()
test.run()
print(time.process_time() - started)
"""


def write_bars(path: Path, count: int) -> None:
    """Write minutes of a random walk in cents."""
    with path.open("w", encoding="utf-8") as file:
        file.write("symbol,start,open,high,low,close,volume\n")
        file.writelines(_list_lines(count))


def _list_lines(count: int) -> Iterator[str]:
    draw, last, start = Random(7), 20_000, START
    for _ in range(count):
        path = [last := max(last + draw.randint(-3, 3), 5_000) for _ in range(4)]
        prices = ",".join(f"{price / 100:.2f}" for price in (path[0], max(path), min(path), path[-1]))
        yield f"AAPL,{start:%Y-%m-%dT%H:%M:%SZ},{prices},{draw.randint(100, 5_000)}\n"
        start += timedelta(minutes=1)


def measure_rate(blocks: list[BarBlock], settings: BacktestSettings) -> float:
    """Return the bars per second of processor time."""
    engine = BacktestEngine(MovingAverageCross(), ["AAPL"], settings, Recorder())
    started = process_time()
    run = engine.run(blocks)
    seconds = process_time() - started
    if run.denied or not run.account.fills:
        raise AssertionError(f"{run.denied} denied, {run.account.fills} fills")
    return run.bars / seconds


def measure_reference(python: Path, bars_path: Path, count: int) -> float:
    """Return the bars per second of backtesting.py."""
    command = [str(python), "-c", REFERENCE, str(bars_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return count / float(output)


def measure_sandbox(blocks: list[BarBlock]) -> float:
    """Return the speed in the sandbox, start included, per that in this process."""
    seconds = []
    for prepare in (prepare_trusted, prepare_sandboxed):
        started = perf_counter()
        prepare(STRATEGY, {}, FLAT)(["AAPL"], Recorder(), blocks)
        seconds.append(perf_counter() - started)
    return seconds[0] / seconds[1]


def measure_sweep(blocks: list[BarBlock], sets: int) -> float:
    """Return the speed of a sweep with two workers per that with one."""
    task = SweepTask(STRATEGY, True, ["AAPL"], FLAT, blocks)
    parameters = [{"fast": str(5 + number % 10), "slow": str(30 + number)} for number in range(sets)]
    seconds = []
    for workers in (1, 2):
        started = perf_counter()
        list(run_sets(task, parameters, workers))
        seconds.append(perf_counter() - started)
    return seconds[0] / seconds[1]


def measure_memory(bars_path: Path) -> float:
    """Return the peak memory of a backtest of a file, in MB."""
    arguments = [STRATEGY, "--data", str(bars_path), "--json", "--risk", "off"]
    command = [sys.executable, "-m", "app.backtest", *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return float(json.loads(output)["peak_rss_mb"])


def measure(folder: Path, count: int, memory_count: int, python: Path | None) -> list[ResultLine]:
    """Return the lines of the table."""
    bars_path = folder / "bars.csv"
    write_bars(bars_path, count)
    blocks = list(BarFiles(bars_path, Interval.MINUTE).read_blocks())
    rates: dict[str, list[float]] = {"reference": [], "flat": [], "full": []}
    for _ in range(ROUNDS):
        rates["flat"].append(measure_rate(blocks, FLAT))
        rates["full"].append(measure_rate(blocks, FULL))
        if python is not None:
            rates["reference"].append(measure_reference(python, bars_path, count))
    lines = [
        *_build_lines("flat fees", rates["flat"], rates["reference"], 2, 3.5),
        *_build_lines("every risk rule, full fee schedule", rates["full"], rates["reference"], 1, 1.5),
    ]
    sandbox = median([measure_sandbox(blocks) for _ in range(ROUNDS)])
    lines.append(
        ResultLine("sandbox, compared with in process", f"{sandbox:.2f} ×", check_at_least(sandbox, 0.5, 0.8))
    )
    part = blocks[: max(len(blocks) // SWEEP_SETS, 1)]
    sweep = median([measure_sweep(part, SWEEP_SETS) for _ in range(SWEEP_ROUNDS)])
    label = f"{SWEEP_SETS} sets of parameters, two workers compared with one"
    lines.append(ResultLine(label, f"{sweep:.2f} ×", check_at_least(sweep, 1.6, 1.85)))
    blocks.clear()
    if memory_count:
        write_bars(bars_path, memory_count)
        peak = measure_memory(bars_path)
        lines.append(
            ResultLine(
                f"peak memory of {memory_count:,} bars", f"{peak:.0f} MB", check_at_most(peak, 300, 150)
            )
        )
    return lines


def _build_lines(
    label: str, own: list[float], reference: list[float], must: float, reach: float
) -> list[ResultLine]:
    lines = [ResultLine(f"bars, {label}", f"{median(own):,.0f}/s")]
    if reference:
        ratio = median([first / second for first, second in zip(own, reference, strict=True)])
        base = f"backtesting.py, {median(reference):,.0f}/s"
        lines.append(
            ResultLine(f"  compared with {base}", f"{ratio:.2f} ×", check_at_least(ratio, must, reach))
        )
    return lines


def main() -> int:
    """Print the table. Return 1 if a required value was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, metavar="PYTHON")
    parser.add_argument("--bars", type=int, default=BARS)
    parser.add_argument("--memory-bars", type=int, default=MEMORY_BARS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(Path(folder), args.bars, args.memory_bars, args.reference)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
