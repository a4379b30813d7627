"""The rate of `GET /exports/trades` as CSV, over one connection.

`python -m bench.exports --trades 20000` runs it with a smaller ledger. The figure is the rows of the file,
divided by the time until its end.
"""

import argparse
import sys
import urllib.request
from pathlib import Path
from time import perf_counter

from bench.disk import create_scratch_folder
from bench.ledger import Ledger, fill_database
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_least, median, print_lines
from bench.service import Service, run_api

TRADES, ROUNDS = 100_000, 9
_PIECE_BYTES = 1 << 20


def measure(ledger: Ledger, folder: Path, rounds: int = ROUNDS) -> list[ResultLine]:
    """Return the line of the table: the median of the rounds."""
    with run_api(ledger.database_url, folder / "exports.log", ledger.key) as service:
        rates = [_measure_download(service, ledger.trades) for _ in range(rounds)]
    rate = median(rates)
    label = f"GET /exports/trades as CSV, {ledger.trades:,} rows"
    return [ResultLine(label, f"{rate:,.0f} rows/s", check_at_least(rate, 50_000, 150_000))]


def _measure_download(service: Service, trades: int) -> float:
    """Return the rows per second of a download. Raises ValueError if rows are missing."""
    url = f"http://127.0.0.1:{service.port}/api/v1/exports/trades"
    request = urllib.request.Request(url, headers={"X-API-Key": service.key})  # a URL of this benchmark
    started, lines = perf_counter(), 0
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  # as above
        while piece := response.read(_PIECE_BYTES):
            lines += piece.count(b"\r\n")
    seconds = perf_counter() - started
    if lines != trades + 1:
        raise ValueError(f"the file has {lines - 1:,} rows, not {trades:,}")
    return trades / seconds


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=TRADES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        lines = measure(fill_database(server, "exports", options.trades), folder, options.rounds)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
