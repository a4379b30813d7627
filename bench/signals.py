"""`POST /signals`: each becomes a market order that is filled before the response. One process, PostgreSQL.

Reported are the latency of 32 signals at once, and the signals per second divided by the orders per second of
`POST /orders` in the same rounds. `python -m bench.signals [--rounds 3] [--seconds 6]`.
"""

import argparse
import sys

from bench.disk import create_scratch_folder
from bench.load import PORTFOLIOS, list_portfolio_names
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_least, check_at_most, median, print_lines
from bench.service import Service, generate_key, migrate, run_api

ROUNDS, SECONDS, AT_ONCE = 3, 6.0, 32
_WARM_SECONDS = 2.0


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> list[ResultLine]:
    """Return the lines of the table."""
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        url, key = server.create_database("signals"), generate_key()
        migrate(url, key)
        with run_api(url, folder / "api.log", key) as service:
            service.open_portfolios(list_portfolio_names(PORTFOLIOS))
            results = [_measure_round(service, seconds) for _ in range(rounds)]
    p99, ratio = (median(values) for values in zip(*results, strict=True))
    return [
        ResultLine(
            f"signal over REST → filled on paper, {AT_ONCE} at once, p99",
            f"{p99:.0f} ms",
            check_at_most(p99, 100, 40),
        ),
        ResultLine(
            "signals/s, one process, against POST /orders", f"{ratio:.2f}", check_at_least(ratio, 0.8, 0.95)
        ),
    ]


def _measure_round(service: Service, seconds: float) -> tuple[float, float]:
    """Return the p99 of 32 signals at once in ms, and the rate of signals divided by that of orders."""
    latency = service.load("signals", seconds, AT_ONCE, _WARM_SECONDS)
    orders, signals = (service.load(path, seconds, warm=_WARM_SECONDS) for path in ("orders", "signals"))
    print(
        f"  orders {orders.rate:,.0f}/s, signals {signals.rate:,.0f}/s; {AT_ONCE} signals: {latency}",
        flush=True,
    )
    return latency.p99, signals.rate / orders.rate


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    lines = measure(options.rounds, options.seconds)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
