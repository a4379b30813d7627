"""`POST /orders` at market, filled at the simulated quote, on PostgreSQL, compared with pgbench.

Both are measured in the same run. pgbench writes one trade per transaction. An order writes its row, its
events, the execution, the trade, the position, the portfolio and the outbox.
"""

import argparse
from itertools import count

from bench.disk import scratch
from bench.limit import CLIENTS, Limit, Script, open_books, pgbench
from bench.load import BOOKS
from bench.postgres import Server, postgres
from bench.report import Line, at_least, at_most, median, show
from bench.service import Load, api, fresh_key, migrate

MUST, REACH = 0.2, 0.5
ROUNDS, SECONDS = 5, 5.0
_ROWS = """
    SELECT sum(n_tup_ins + n_tup_upd) / (SELECT count(*) FROM orders) FROM pg_stat_user_tables
    WHERE relname IN ('orders', 'order_events', 'executions', 'trades', 'positions', 'portfolios', 'events')
"""


def measure(rounds: int, seconds: float) -> list[Line]:
    """Return the lines of the table: medians of the rounds."""
    done: list[tuple[float, Load, float]] = []
    with scratch() as folder, postgres(folder) as server:
        migrate(server.fresh_database("pgbench"), fresh_key())
        open_books(server, "pgbench")
        turns = count()

        def limit() -> Limit:
            return pgbench(server, "pgbench", folder, Script.BARE, next(turns), int(seconds))

        before = limit()
        for _ in range(rounds):
            key, url = fresh_key(), server.fresh_database("orders")
            migrate(url, key)
            with api(url, folder / "api.log", key) as service:
                service.open_portfolios(BOOKS)
                load = service.load("orders", seconds)
            rows = _count_rows(server)
            after = limit()
            bare = (before.rate + after.rate) / 2
            print(
                f"  {load.rate:,.0f}/s, {load.rate / bare:.2f} of pgbench ({bare:,.0f}/s); {load}; "
                f"{rows:.1f} rows an order",
                flush=True,
            )
            done.append((load.rate / bare, load, rows))
            before = after
    return _lines(done)


def _count_rows(server: Server) -> float:
    """Return the rows that an order writes, once the service has ended and its sessions have reported."""
    return float(server.sql(_ROWS, "orders"))


def _lines(done: list[tuple[float, Load, float]]) -> list[Line]:
    ratio, rate = median([ratio for ratio, *_ in done]), median([load.rate for _, load, _ in done])
    p99, rows = median([load.p99 for _, load, _ in done]), median([rows for *_, rows in done])
    what = f"POST /orders MARKET on PostgreSQL, {rate:,.0f}/s, of pgbench with {CLIENTS} clients"
    return [
        Line(what, f"{ratio:.2f}", at_least(ratio, MUST, REACH)),
        Line("its p99 at 64 connections", f"{p99:.1f} ms"),
        Line("rows written by a filled market order", f"{rows:.1f}", at_most(rows, 7, 7)),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    show(measure(asked.rounds, asked.seconds))
