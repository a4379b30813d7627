"""A quote that fills 10,000 resting orders in 100 portfolios: how long other commands wait meanwhile.

Needs the service's package on its path: `PYTHONPATH=oms-api:. python -m bench.quote`. The writer, the handler
and the matcher run in this process, on a PostgreSQL server of its own.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from decimal import Decimal
from time import perf_counter, sleep

from app.database import Readers, connect_engine
from app.group_commit import GroupCommit
from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.commands import CommandOrigin, RecordTrade
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.orders.rules.values import OrderType, Ticket, TimeInForce
from app.orders.service.batch_state.batch_context import BatchServices
from app.orders.service.command_results import Outcome
from app.orders.service.commands import PlaceOrder, WriterCommand, get_lock_group
from app.orders.service.quote_matcher import QuoteMatcher
from app.orders.service.trade_guard import OrderTradeGuard
from app.orders.service.write_path.batch_handler import OrderBatchHandler
from app.risk.service.controls import Controls
from bench.disk import create_scratch_folder
from bench.postgres import run_postgres
from bench.report import ResultLine, check_at_most, median, print_lines
from bench.service import generate_key, migrate

PORTFOLIOS, RESTING = 100, 10_000
MUST_MS, REACH_MS = 250.0, 100.0
FILLED = 2_000
_BATCH, _PAUSE_SECONDS = 200, 0.02
_REPORT_SECONDS = 2  # until a session has reported what it wrote
_ROWS = """
    SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables
    WHERE relname IN ('orders', 'order_events', 'executions', 'trades', 'positions', 'portfolios', 'events')
"""


def measure() -> list[ResultLine]:
    """Return the lines of the table."""
    with create_scratch_folder() as folder, run_postgres(folder) as server:
        url = server.create_database("quote")
        migrate(url, generate_key())
        market, controls = Market(ManualSource(), None), Controls()  # type: ignore[arg-type]  # only routes read by it
        services = BatchServices(market, controls)
        handler = OrderBatchHandler(LedgerBatchHandler(guard=OrderTradeGuard(controls)), services)
        engine = connect_engine(url, tenant_scoped=True)
        writer: GroupCommit[WriterCommand, Outcome] = GroupCommit(
            engine, handler, 20_000, 250, lock_group=get_lock_group
        )
        readers = Readers(engine, 2)
        writer.start()
        try:
            lines = asyncio.run(_measure_rates(writer, QuoteMatcher(writer, readers, market, _get_now)))
            before = server.sql(_ROWS, "quote")
            asyncio.run(_place_orders(writer))
        finally:
            writer.close()
            readers.close()
            engine.dispose()
        sleep(_REPORT_SECONDS)
        rows = (float(server.sql(_ROWS, "quote")) - float(before)) / FILLED
        return [
            *lines,
            ResultLine("rows written by a filled market order", f"{rows:.1f}", check_at_most(rows, 7, 7)),
        ]


async def _place_orders(writer: "GroupCommit[WriterCommand, Outcome]") -> None:
    """Place market orders that fill at once, a batch at a time."""
    for start in range(0, FILLED, _BATCH):
        orders = [_build_order(RESTING + number, OrderType.MARKET) for number in range(start, start + _BATCH)]
        await asyncio.gather(*writer.submit_all(orders))


async def _measure_rates(
    writer: "GroupCommit[WriterCommand, Outcome]", matcher: QuoteMatcher
) -> list[ResultLine]:
    """Report trades, rest the orders, and then report a trade every 20 ms while the quote is published."""
    await matcher.publish(1, _build_quote("100"))
    await asyncio.gather(*writer.submit_all([_build_trade(number) for number in range(PORTFOLIOS)]))
    for start in range(0, RESTING, _BATCH):
        await asyncio.gather(
            *writer.submit_all([_build_order(number) for number in range(start, start + _BATCH)])
        )
    waits: list[float] = []
    started = perf_counter()
    publishing = asyncio.create_task(matcher.publish(1, _build_quote("90")))
    while not publishing.done():
        await asyncio.sleep(_PAUSE_SECONDS)
        begun = perf_counter()
        await writer.submit(_build_trade(len(waits)))
        waits.append((perf_counter() - begun) * 1000)
    await publishing
    ended = perf_counter()
    await asyncio.sleep(_REPORT_SECONDS)
    longest, took = max(waits), ended - started
    label = f"longest wait while a quote fills {RESTING:,} orders in {PORTFOLIOS} portfolios ({took:.1f} s)"
    return [
        ResultLine(label, f"{longest:.0f} ms", check_at_most(longest, MUST_MS, REACH_MS)),
        ResultLine(f"  median of {len(waits)}", f"{median(waits):.0f} ms"),
    ]


def _get_now() -> datetime:
    return datetime.now(UTC)


def _build_quote(price: str) -> Quote:
    amount = Decimal(price)
    return Quote(
        symbol="AAPL",
        bid=amount,
        ask=amount,
        last=amount,
        bid_size=None,
        ask_size=None,
        at=_get_now(),
        source="manual",
    )


def _build_origin(key: str) -> CommandOrigin:
    return CommandOrigin(1, "bench", None, _get_now(), key, hash_request(key))


def _build_trade(number: int) -> RecordTrade:
    name = f"Book {number % PORTFOLIOS}"
    valued = compute_trade_value(Decimal(1), Decimal(100), None)
    origin = _build_origin(f"trade-{_get_now().timestamp()}-{number}")
    return RecordTrade(
        origin=origin,
        symbol="MSFT",
        product="",
        side=Side.BUY,
        trade=valued,
        portfolio_name=name,
        portfolio_name_key=name.lower(),
        note=None,
    )


def _build_order(number: int, kind: OrderType = OrderType.LIMIT) -> PlaceOrder:
    name = f"Book {number % PORTFOLIOS}"
    ticket = Ticket(
        symbol="AAPL",
        side="BUY",
        type=kind,
        quantity=Decimal(1),
        limit_price=Decimal(95) if kind is OrderType.LIMIT else None,
        time_in_force=TimeInForce.GTC if kind is OrderType.LIMIT else TimeInForce.DAY,
    )
    return PlaceOrder(_build_origin(f"order-{number}"), ticket, name, name.lower())


def main() -> int:
    """Print the table. Return 1 if a required value was missed."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lines = measure()
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
