"""The time and memory of `python -m app.verify` on a long ledger."""

import argparse
import os
import subprocess
import sys
from time import perf_counter

from bench.disk import create_scratch_folder
from bench.ledger import Ledger, fill_database
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import OMS_API

TRADES = 1_000_000
MUST_SECONDS = 60.0


def measure(ledger: Ledger) -> list[ResultLine]:
    """Return the line of the table. Raises ChildProcessError if verification fails."""
    started = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.verify"], cwd=OMS_API, env=ledger.environment(), stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ChildProcessError(f"app.verify ended with {process.returncode}")
    label = f"verify {ledger.trades:,} trades (at most {usage.ru_maxrss / 1024:,.0f} MB)"
    return [ResultLine(label, f"{seconds:.1f} s", check_at_most(seconds, MUST_SECONDS, MUST_SECONDS))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=TRADES)
    options = parser.parse_args()
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        print_lines(measure(fill_database(server, "large", options.trades)))
