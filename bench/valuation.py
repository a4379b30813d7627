"""The value of 100,000 positions at their marks, and reads of equity through time.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.valuation marks performance`. It
uses a PostgreSQL server that is started for the run. Marks: the time from the database to the exposure of
every portfolio, in one process. Performance: the median time of a request over one connection, for ten years
of daily closes and for a day of snapshots every 5 seconds.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import sin
from pathlib import Path
from time import perf_counter
from typing import cast

from sqlalchemy import Engine, Table

from app.clock import utc_now
from app.database import (
    Readers,
    build_insert,
    connect_engine,
    execute_writes,
    set_tenant_scope,
    snapshot,
    unit_of_work,
)
from app.database.bulk import BulkRow
from app.ledger.models import PositionRow
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.queries.valuation import list_positions_to_value
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.ledger.service.valuation import value_positions
from app.market_data.queries import build_quote_writes
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.money import format_fixed
from app.performance.queries import build_snapshot_insert
from app.performance.rules.values import Snapshot
from app.text import name_key
from bench.disk import create_scratch_folder
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_most, median, print_lines
from bench.service import generate_key, migrate, run_api

PORTFOLIOS, SYMBOLS = 200, 500  # each portfolio holds each symbol
YEARS, SNAPSHOTS_A_DAY = 10, 17_280
ROUNDS, SECONDS = 5, 3.0
_POSITION = (
    "tenant_id",
    "portfolio_id",
    "symbol",
    "product",
    "quantity",
    "cost",
    "realized_pnl",
    "last_sequence",
)
_CHUNK = 10_000


def measure_marks(server: Server) -> list[ResultLine]:
    """Return how long it takes to value all positions of all portfolios."""
    url = server.create_database("marks")
    migrate(url, generate_key())
    engine = connect_engine(url, readers=1)
    _fill_positions(engine)
    server.sql("VACUUM (ANALYZE)", "marks")
    readers = Readers(engine, 1)
    market = Market(ManualSource(), readers)
    times = []
    for _ in range(ROUNDS):
        started = perf_counter()
        with snapshot(engine) as connection:
            positions = list_positions_to_value(
                set_tenant_scope(connection, [1]), PositionRow.__table__.c.tenant_id == 1
            )
            exposures = value_positions(connection, market.load_past_quotes, positions, utc_now())
        times.append(perf_counter() - started)
        if (len(positions), len(exposures)) != (PORTFOLIOS * SYMBOLS, PORTFOLIOS):
            raise ValueError(f"{len(positions)} positions of {len(exposures)} portfolios were valued")
    readers.close()
    engine.dispose()
    seconds = median(times)
    return [
        ResultLine(
            f"mark to market of {PORTFOLIOS * SYMBOLS:,} positions",
            f"{seconds:.2f} s",
            check_at_most(seconds, 1, 0.3),
        )
    ]


def measure_performance(server: Server, folder: Path) -> list[ResultLine]:
    """Return how long requests for statistics and for an equity curve take."""
    url, key = server.create_database("performance"), generate_key()
    migrate(url, key)
    engine = connect_engine(url, readers=1)
    now = utc_now()
    years = [now - timedelta(days=day) for day in range(YEARS * 365, 0, -1)]
    _fill_snapshots(engine, 1, "Decade", years, "close")
    day = [now - timedelta(seconds=5 * number) for number in range(SNAPSHOTS_A_DAY - 10, 0, -1)]
    _fill_snapshots(engine, 2, "Day", day, "interval")
    engine.dispose()
    server.sql("VACUUM (ANALYZE)", "performance")
    lines = []
    with run_api(url, folder / "performance.log", key) as service:
        for label, path in (
            (f"GET /performance over {YEARS} years of daily closes", "Decade/performance"),
            ("GET /history of a day at 5 s", "Day/history?period=1D&interval=5s"),
        ):
            loads = [
                service.load(f"/api/v1/portfolio/{path}", SECONDS, connections=1, warm=0.5)
                for _ in range(ROUNDS)
            ]
            milliseconds = median([load.p50 for load in loads])
            lines.append(ResultLine(label, f"{milliseconds:.1f} ms", check_at_most(milliseconds, 30, 10)))
    return lines


def _fill_positions(engine: Engine) -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    _open_portfolios(engine, {number: f"Book {number}" for number in range(1, PORTFOLIOS + 1)}, at)
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [1])
        for rows in _split_rows(_create_positions()):
            execute_writes(connection, build_insert(cast("Table", PositionRow.__table__), _POSITION, rows))
        quotes = [
            Quote(
                symbol=f"SYM{number}",
                bid=Decimal(99),
                ask=Decimal(number + 101),
                last=None,
                bid_size=None,
                ask_size=None,
                at=at,
                source="manual",
            )
            for number in range(SYMBOLS)
        ]
        execute_writes(connection, *build_quote_writes([(1, quote) for quote in quotes], {}))


def _create_positions() -> Iterator[BulkRow]:
    for portfolio in range(1, PORTFOLIOS + 1):
        for number in range(SYMBOLS):
            quantity = Decimal(number - SYMBOLS // 2 or 1)
            cost = quantity * (100 + portfolio)
            yield (
                1,
                portfolio,
                f"SYM{number}",
                "",
                format_fixed(quantity),
                format_fixed(cost),
                format_fixed(Decimal(0)),
                number + 1,
            )


def _fill_snapshots(
    engine: Engine, portfolio_id: int, name: str, instants: list[datetime], kind: str
) -> None:
    _open_portfolios(engine, {portfolio_id: name}, instants[0] - timedelta(seconds=1))
    zero = Decimal(0)
    rows = [
        Snapshot(
            tenant_id=1,
            portfolio_id=portfolio_id,
            at=at,
            kind=kind,
            cash=zero,
            market_value=zero,
            gross_exposure=zero,
            equity=_compute_equity(number),
            realized_pnl=zero,
            unrealized_pnl=zero,
            charges=zero,
            flows=zero,
        )
        for number, at in enumerate(instants)
    ]
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [1])
        for start in range(0, len(rows), _CHUNK):
            execute_writes(connection, build_snapshot_insert(rows[start : start + _CHUNK]))


def _compute_equity(number: int) -> Decimal:
    return Decimal(f"{1_000_000 + 100 * number + 50_000 * sin(number / 40):.8f}")


def _open_portfolios(engine: Engine, names: dict[int, str], at: datetime) -> None:
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [1])
        portfolios = [
            build_portfolio(number, 1, name, name_key(name), opening_cash=Decimal(1_000_000))
            for number, name in names.items()
        ]
        insert_portfolios(connection, [build_portfolio_row(portfolio, at) for portfolio in portfolios])


def _split_rows(rows: Iterator[BulkRow]) -> Iterator[list[BulkRow]]:
    samples = list(rows)
    for start in range(0, len(samples), _CHUNK):
        yield samples[start : start + _CHUNK]


def main() -> int:
    """Measure the named parts, or both, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["marks", "performance"])
    parts = parser.parse_args().parts or ["marks", "performance"]
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        measures: dict[str, Callable[[], list[ResultLine]]] = {
            "marks": lambda: measure_marks(server),
            "performance": lambda: measure_performance(server, folder),
        }
        lines = [line for part in parts for line in measures[part]()]
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
