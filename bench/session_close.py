"""Expires the DAY orders of a session at its close: by the background job and the writer of one process.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.session_close [--orders 50000]
[--sqlite]`."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from time import perf_counter, process_time

from sqlalchemy import Connection, Engine, text

from app.assembly.background_jobs import ORDER_EXPIRY
from app.assembly.components import Components, assemble
from app.config import Settings
from app.database import Readers, connect_engine, set_tenant_scope
from app.database.timeouts import response_timeout
from app.ids import generate_row_id
from app.instruments.queries import set_terms
from app.instruments.rules import Instrument
from app.jobs.service import JobRunner
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.rules.chain import hash_request
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.logs import AccessLog
from app.market_data.service import Market
from app.market_data.sources.simulated import SimulatedSource
from app.migrate import migrate
from app.orders.rules.values import OrderType, Ticket
from app.orders.service.batch_state.batch_context import BatchServices
from app.orders.service.commands import PlaceOrder
from app.orders.service.write_path.batch_handler import OrderBatchHandler
from app.risk.service.controls import Controls
from app.text import name_key
from bench.disk import create_scratch_folder
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import generate_key

ORDERS, PORTFOLIOS, SYMBOLS, BATCH = 50_000, 20, 50, 1_000
MUST_SECONDS, REACH_SECONDS = 10.0, 3.0
_TENANT = 1
_OPEN = datetime(2026, 11, 20, 15, tzinfo=UTC)
_CLOSE = datetime(2026, 11, 20, 21, tzinfo=UTC)
_PATIENCE_SECONDS = 120


def measure(orders: int, *, on_sqlite: bool = False) -> list[ResultLine]:
    """Return the line of the table: the seconds from the close until every order is EXPIRED."""
    with create_scratch_folder() as folder:
        if on_sqlite:
            return _measure_close(f"sqlite:///{folder}/close.db", "SQLite", orders)
        with run_postgres(folder) as server:
            return _measure_close(server.create_database("close"), "PostgreSQL", orders)


def _measure_close(url: str, database: str, orders: int) -> list[ResultLine]:
    settings = Settings(oms_api_key=generate_key(), database_url=url, enforce_sessions="hold")
    engine = connect_engine(url, readers=1)
    migrate(engine)
    _place_orders(engine, orders)
    components = assemble(settings, lambda: _CLOSE, AccessLog(as_json=True))
    seconds = _close_session(components)
    with engine.connect() as connection:
        _require_all_expired(connection, orders)
    label = f"{orders:,} DAY orders of {PORTFOLIOS} portfolios expire at a close, {database}"
    return [ResultLine(label, f"{seconds:.2f} s", check_at_most(seconds, MUST_SECONDS, REACH_SECONDS))]


def _close_session(components: Components) -> float:
    expiry = [job for job in components.job_runner.jobs if job.name == ORDER_EXPIRY]
    runner = JobRunner(components.engine, expiry, components.now)
    components.writer.start()
    started, processor_start = perf_counter(), process_time()
    runner.run_due()
    seconds = perf_counter() - started
    print(f"  {process_time() - processor_start:.2f} s of processor time in the API", flush=True)
    components.writer.close()
    return seconds


def _require_all_expired(connection: Connection, orders: int) -> None:
    set_tenant_scope(connection, [_TENANT])
    counts = dict(map(tuple, connection.execute(text("SELECT status, count(*) FROM orders GROUP BY status"))))
    if counts != {"EXPIRED": orders}:
        raise AssertionError(f"not every order is EXPIRED: {counts}")


def _place_orders(engine: Engine, orders: int) -> None:
    """Place the orders by the service's own handler, at prices far from the market."""
    with engine.begin() as connection:
        set_tenant_scope(connection, [_TENANT])
        for number in range(SYMBOLS):
            terms = Instrument(f"S{number}", "NASDAQ", tick_size=Decimal("0.01"), lot_size=Decimal(1))
            set_terms(connection, _TENANT, terms, _OPEN)
        names = [f"Book {number}" for number in range(PORTFOLIOS)]
        cash = Decimal(1_000_000)
        keys = [
            build_portfolio(generate_row_id(), _TENANT, name, name_key(name), opening_cash=cash)
            for name in names
        ]
        insert_portfolios(connection, [build_portfolio_row(key, _OPEN) for key in keys])
    market = Market(SimulatedSource("bench"), Readers(engine, 1))
    services = BatchServices(market, Controls(), enforce_sessions="hold")
    handler = OrderBatchHandler(LedgerBatchHandler(), services)
    commands = list(_create_commands(orders))
    with engine.connect().execution_options(writes=True) as connection, response_timeout(_PATIENCE_SECONDS):
        for start in range(0, orders, BATCH):
            with connection.begin():
                handler.handle(connection, commands[start : start + BATCH], {})


def _create_commands(orders: int) -> Iterator[PlaceOrder]:
    for number in range(orders):
        name = f"Book {number % PORTFOLIOS}"
        ticket = Ticket(
            f"S{number // PORTFOLIOS % SYMBOLS}",
            "BUY",
            OrderType.LIMIT,
            Decimal(1),
            limit_price=Decimal("0.01"),
        )
        at = _OPEN + number * timedelta(milliseconds=20)
        origin = CommandOrigin(_TENANT, f"key {number % 1000}", None, at, None, hash_request(str(number)))
        yield PlaceOrder(origin, ticket, name, name_key(name))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--sqlite", action="store_true")
    options = parser.parse_args()
    lines = measure(options.orders, on_sqlite=options.sqlite)
    print_lines(lines)
    sys.exit(any(line.outcome.startswith("MISSED") for line in lines))
