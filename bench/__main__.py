"""Run all benchmarks: `make bench`, or `python -m bench [name …]` for some of them.

Takes 10 to 15 minutes. Status 1 means that a required value was missed.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench import (
    access,
    cases,
    during_marks,
    exports,
    footprint,
    orders,
    reads,
    signals,
    speed_index,
    trades,
    verify,
)
from bench.disk import create_scratch_folder
from bench.ledger import fill_database
from bench.postgres import run_postgres
from bench.report import ResultLine, print_lines
from bench.service import OMS_API, ROOT


def _measure_trades() -> list[ResultLine]:
    return cases.measure(trades.list_cases(), trades.ROUNDS, trades.SECONDS)


def _measure_orders() -> list[ResultLine]:
    return cases.measure(orders.list_cases(), trades.ROUNDS, trades.SECONDS)


def _measure_large_ledger() -> list[ResultLine]:
    """Run the benchmarks that need the large ledger, which is created once."""
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        large, small = (
            fill_database(server, "large", reads.LARGE),
            fill_database(server, "small", reads.SMALL),
        )
        return reads.measure(large, small, folder, rounds=3, seconds=3.0) + verify.measure(large)


def _measure_matching() -> list[ResultLine]:
    return _run_separately("matching", "matching in memory")


def _measure_backtests() -> list[ResultLine]:
    return _run_separately("backtest", "backtests on bars")


def _measure_risk_checks() -> list[ResultLine]:
    return _run_separately("risk", "the risk checks alone")


def _measure_quotes() -> list[ResultLine]:
    return _run_separately("quote", "other commands while a quote fills many orders")


def _measure_marks() -> list[ResultLine]:
    return _run_separately("valuation", "mark to market", "marks")


def _measure_equity_reads() -> list[ResultLine]:
    return _run_separately("valuation", "reads of equity through time", "performance")


def _measure_session_close() -> list[ResultLine]:
    return _run_separately("session_close", "50,000 DAY orders expire at a close")


def _measure_webhooks() -> list[ResultLine]:
    return _run_separately("webhooks", "delivery of events to webhooks")


def _measure_alerts() -> list[ResultLine]:
    return _run_separately("alerts", "price alerts at 1,000 quotes a second")


def _measure_brokers() -> list[ResultLine]:
    return _run_separately("brokers", "orders and fills at a broker")


def _measure_strategies() -> list[ResultLine]:
    return _run_separately("strategies", "a bar to the order of a strategy")


def _measure_websocket() -> list[ResultLine]:
    return _run_separately("websocket", "quotes to 500 WebSocket clients")


def _measure_exports() -> list[ResultLine]:
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        return exports.measure(fill_database(server, "exports", exports.TRADES), folder)


def _run_separately(name: str, label: str, *arguments: str) -> list[ResultLine]:
    """Run a benchmark that needs the service's package in its own interpreter."""
    path = os.pathsep.join((str(ROOT), str(OMS_API)))
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    status = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, check=False).returncode
    return [ResultLine(label, "see above", "MISSED" if status else "met")]


def _measure_acknowledgement() -> list[ResultLine]:
    program = Path(__file__).with_name("slack_ack.py")
    status = subprocess.run([sys.executable, program], check=False).returncode
    return [
        ResultLine("acknowledgement of commands and submissions", "see above", "MISSED" if status else "met")
    ]


def _measure_latency() -> list[ResultLine]:
    program = Path(__file__).with_name("slack_latency.py")
    status = subprocess.run([sys.executable, program], check=False).returncode
    return [ResultLine("50 people at once, the home tab, fills", "see above", "MISSED" if status else "met")]


BUSY = 0.5  # processes that run or wait, on average over the last minute
BENCHMARKS: dict[str, Callable[[], list[ResultLine]]] = {
    "trades": _measure_trades,
    "orders": _measure_orders,
    "scale": _measure_large_ledger,
    "matching": _measure_matching,
    "backtest": _measure_backtests,
    "risk": _measure_risk_checks,
    "quote": _measure_quotes,
    "marks": _measure_marks,
    "during_marks": during_marks.measure,
    "performance": _measure_equity_reads,
    "session_close": _measure_session_close,
    "webhooks": _measure_webhooks,
    "alerts": _measure_alerts,
    "brokers": _measure_brokers,
    "signals": signals.measure,
    "strategies": _measure_strategies,
    "websocket": _measure_websocket,
    "exports": _measure_exports,
    "footprint": footprint.measure,
    "access": access.measure,
    "slack_ack": _measure_acknowledgement,
    "slack_latency": _measure_latency,
}


def main() -> int:
    """Run the named benchmarks, or all, and print one table at the end."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}", flush=True)
    index = speed_index.measure_seconds()
    print(f"speed index {index:.3f} s ({speed_index.describe(index)} machine)", flush=True)
    if (busy := os.getloadavg()[0]) > BUSY:
        print(f"others use this machine (load {busy:.1f}): rates will be low, latencies high", flush=True)
    lines = [line for name in names for line in _run_and_announce(name)]
    print()
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


def _run_and_announce(name: str) -> list[ResultLine]:
    print(f"\n== {name}", flush=True)
    return BENCHMARKS[name]()


if __name__ == "__main__":
    sys.exit(main())
