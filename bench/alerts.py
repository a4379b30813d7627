"""The share of a core that 10,000 price alerts on 500 symbols take at 1,000 quotes a second.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.alerts --seconds 5`. It uses a
PostgreSQL server that is started for the run. The quotes of a second are given to the market of the process
without a pause, then the alerts are loaded, followed and stored as once a second in the service. The share is
the processor time of that second, less the time of the same quotes without alerts. Prices move at random, and
some alerts fire and repeat.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from time import process_time
from typing import cast

from sqlalchemy import Table

from app.alerts.models import AlertRow
from app.alerts.service.price_alert_watcher import PriceAlertWatcher
from app.database import Readers, build_insert, connect_engine, execute_writes, set_tenant_scope, unit_of_work
from app.database.transactions import Transactions
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.timestamps import format_timestamp
from bench.disk import create_scratch_folder
from bench.postgres import Server, run_postgres
from bench.report import ResultLine, check_at_most, print_lines
from bench.service import generate_key, migrate

ALERTS, SYMBOLS, QUOTES_A_SECOND, SECONDS = 10_000, 500, 1_000, 20
_START = datetime(2026, 1, 5, tzinfo=UTC)
_CREATED_AT = format_timestamp(_START - timedelta(hours=1))
_COLUMNS = (
    *("tenant_id", "id", "owner", "kind", "symbol", "direction", "threshold", "is_repeating", "deliver_to"),
    *("is_active", "is_armed", "firing", "created_at", "updated_at"),
)


def measure(server: Server, seconds: int) -> list[ResultLine]:
    """Return the line of the table."""
    url = server.create_database("alerts")
    migrate(url, generate_key())
    engine = connect_engine(url, readers=1)
    quotes = _make_quotes(seconds)
    readers, transactions = Readers(engine, 1), Transactions(engine)
    try:
        plain = _measure_processor_time(Market(ManualSource(), readers), quotes, None)
        _insert_alerts(url)
        market = Market(ManualSource(), readers)
        now = [_START]
        alerts = PriceAlertWatcher(readers, transactions, market, lambda: now[0])
        asyncio.run(alerts.check())
        watched = _measure_processor_time(market, quotes, (alerts, now))
    finally:
        transactions.close()
        readers.close()
        engine.dispose()
    fired = int(server.sql("SELECT count(*) FROM events WHERE type = 'alert.fired'", "alerts") or 0)
    share = (watched - plain) / seconds * 100
    label = f"{ALERTS:,} price alerts on {SYMBOLS} symbols, {QUOTES_A_SECOND:,} quotes/s ({fired:,} fired)"
    return [ResultLine(label, f"{share:.1f}% of a core", check_at_most(share, 25, 10))]


def _measure_processor_time(
    market: Market, quotes: list[list[Quote]], watch: tuple[PriceAlertWatcher, list[datetime]] | None
) -> float:
    """Return the processor time in which the market takes the quotes."""

    async def publish_quotes() -> None:
        for second in quotes:
            for quote in second:
                market.receive_quote(1, quote)
            if watch is not None:
                watch[1][0] = second[-1].at
                await watch[0].check()

    started = process_time()
    asyncio.run(publish_quotes())
    return process_time() - started


def _make_quotes(seconds: int) -> list[list[Quote]]:
    random, prices = Random(1), [Decimal(100)] * SYMBOLS  # repeatable
    quotes = []
    for second in range(seconds):
        batch = []
        for number in range(QUOTES_A_SECOND):
            symbol = number % SYMBOLS
            prices[symbol] += Decimal(random.randint(-5, 5)) / 100
            at = _START + timedelta(seconds=second, microseconds=number * 1_000)
            batch.append(
                Quote(
                    symbol=f"SYM{symbol}",
                    bid=None,
                    ask=None,
                    last=prices[symbol],
                    bid_size=None,
                    ask_size=None,
                    at=at,
                    source="manual",
                )
            )
        quotes.append(batch)
    return quotes


def _insert_alerts(url: str) -> None:
    """Insert alerts whose thresholds lie 0.1 to 1 percent off the first price, on both sides."""
    rows = []
    for number in range(ALERTS):
        offset = Decimal(1 + number // SYMBOLS % 10)
        is_above = number // SYMBOLS % 2 == 0
        threshold = Decimal(100) + offset / 10 if is_above else Decimal(100) - offset / 10
        direction = "above" if is_above else "below"
        rows.append(
            (
                *(1, f"A{number:020d}", "key:bench", "price", f"SYM{number % SYMBOLS}", direction),
                *(f"{threshold:.8f}", True, "me", True, True, 0, _CREATED_AT, _CREATED_AT),
            )
        )
    engine = connect_engine(url, readers=1)
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [1])
        execute_writes(connection, build_insert(cast("Table", AlertRow.__table__), _COLUMNS, rows))
    engine.dispose()


def main() -> int:
    """Run the benchmark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    options = parser.parse_args()
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        lines = measure(server, options.seconds)
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
