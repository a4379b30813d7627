"""Matching in memory: a quote against 10,000 resting orders, and a backtest on bars.

Needs the service's package on its path: `PYTHONPATH=oms-api python -m bench.matching`. With `--profile` it
prints a profile of the backtest.
"""

import argparse
import cProfile
import gc
import pstats
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from time import perf_counter

from app.brokers.paper.book import PaperOrderBook
from app.brokers.paper.broker import PaperBroker
from app.brokers.paper.replay import DecideOrders, replay
from app.brokers.rules.matching import compute_fills
from app.brokers.rules.values import BrokerOrder, OrderType
from app.ledger.rules.accounting import Side
from app.market_data.rules.values import Bar, Quote
from bench.report import ResultLine, check_at_least, check_at_most, median, print_lines

SYMBOLS, RESTING = 100, 10_000
BARS, BARS_AN_ORDER, ROUNDS = 200_000, 20, 5
START = datetime(2026, 1, 5, tzinfo=UTC)
_HUNDRED, _CENT = Decimal(100), Decimal("0.01")
_SIDES = (Side.BUY, Side.SELL)


def _create_resting_orders(symbol: str, count: int, portfolios: int) -> Iterator[BrokerOrder]:
    """Yield working orders on both sides of 100, some of which match.

    Of ten orders, eight are limits, one is a stop and one a trailing stop.
    """
    for number in range(count):
        side = _SIDES[number % 2]
        distance = -side.sign * Decimal(5 + number % 45) / 10
        order = BrokerOrder(
            id=f"{symbol}-{number}",
            portfolio_id=number % portfolios,
            symbol=symbol,
            side=side,
            kind=OrderType.LIMIT,
            quantity=_HUNDRED,
            leaves=_HUNDRED,
            accepted_at=START + number * timedelta(seconds=1),
            limit_price=100 + distance,
            tick=_CENT,
            lot=Decimal(1),
        )
        if number % 10 == 8:
            order = order._replace(kind=OrderType.STOP, stop_price=100 - distance)
        elif number % 10 == 9:
            order = order._replace(
                kind=OrderType.TRAILING_STOP, trail_amount=abs(distance), trail_level=100 - distance
            )
        yield order


def measure_quotes() -> list[ResultLine]:
    """Return the time of one quote among all resting orders, indexed by symbol as in the service."""
    names = [f"S{number}" for number in range(SYMBOLS)]
    orders_per_symbol = RESTING // SYMBOLS
    book = PaperOrderBook(
        order for name in names for order in _create_resting_orders(name, orders_per_symbol, 10)
    )
    durations, event_count = [], 0
    for number, name in enumerate(names * 3):
        quote = _build_quote(name, Decimal(number % 21 - 10) / 10)
        seconds, events = _measure_matching(book.list_orders(name), quote)
        durations.append(seconds)
        event_count += events
    events_per_quote = f"{event_count / len(durations):.1f} events"
    milliseconds = median(durations) * 1000
    return [
        ResultLine(
            f"a quote, {RESTING:,} resting on {SYMBOLS} symbols ({events_per_quote})",
            f"{milliseconds:.2f} ms",
            check_at_most(milliseconds, 5, 1),
        ),
        ResultLine("  the slowest of 300", f"{max(durations) * 1000:.2f} ms"),
    ]


def measure_one_symbol() -> list[ResultLine]:
    """Return the time of a quote if all orders rest on its symbol."""
    orders = list(_create_resting_orders("ONE", RESTING, 100))
    seconds = [_measure_matching(orders, _build_quote("ONE", Decimal(0)))[0] for _ in range(20)]
    return [ResultLine(f"a quote, all {RESTING:,} resting on its symbol", f"{median(seconds) * 1000:.1f} ms")]


def _build_quote(symbol: str, distance: Decimal) -> Quote:
    last = 100 + distance
    return Quote(
        symbol=symbol,
        bid=last - 5 * _CENT,
        ask=last + 5 * _CENT,
        last=last,
        bid_size=None,
        ask_size=None,
        at=START,
        source="bench",
    )


def _measure_matching(orders: list[BrokerOrder], quote: Quote) -> tuple[float, int]:
    started = perf_counter()
    events = compute_fills(orders, quote, START + timedelta(days=1))
    return perf_counter() - started, len(events)


def measure_bars() -> list[ResultLine]:
    """Return the number of bars per second, with matching and accounting."""
    minute_bars = _build_bars(BARS)
    market = median([_measure_rate(minute_bars, OrderType.MARKET) for _ in range(ROUNDS)])
    limit = median([_measure_rate(minute_bars, OrderType.LIMIT) for _ in range(ROUNDS)])
    label = f"bars of one symbol, an order every {BARS_AN_ORDER} bars"
    return [
        ResultLine(f"{label}, at market", f"{market:,.0f}/s", check_at_least(market, 150_000, 400_000)),
        ResultLine(
            f"{label}, a limit that rests", f"{limit:,.0f}/s", check_at_least(limit, 150_000, 400_000)
        ),
    ]


def _build_bars(count: int) -> list[Bar]:
    """Return minutes of a random walk in cents."""
    random, minute_bars, last = Random(7), [], 20_000
    for number in range(count):
        path = [last := max(last + random.randint(-3, 3), 5_000) for _ in range(4)]
        first, highest, lowest, end = (price * _CENT for price in (path[0], max(path), min(path), path[-1]))
        minute_bars.append(Bar("AAPL", START + number * timedelta(minutes=1), first, highest, lowest, end))
    return minute_bars


def _measure_rate(minute_bars: list[Bar], kind: OrderType) -> float:
    broker = PaperBroker()
    gc.collect()
    started = perf_counter()
    replay(minute_bars, broker, _create_strategy(kind))
    seconds = perf_counter() - started
    fills, required = len(broker.list_executions()), len(minute_bars) // BARS_AN_ORDER // 2
    if fills < required:
        raise AssertionError(f"{fills} orders filled, at least {required} are required")
    return len(minute_bars) / seconds


def _create_strategy(kind: OrderType) -> DecideOrders:
    """Return a strategy that places an order every few bars, alternating between buys and sells.

    It cancels a limit order that has not filled by the next one.
    """
    count = 0

    def decide(bar: Bar, broker: PaperBroker) -> tuple[BrokerOrder, ...]:
        nonlocal count
        count += 1
        if count % BARS_AN_ORDER:
            return ()
        for resting in broker.open_orders():
            broker.cancel(resting.id, bar.start)
        side = _SIDES[count // BARS_AN_ORDER % 2]
        limit = bar.close - side.sign * 5 * _CENT if kind is OrderType.LIMIT else None
        return (BrokerOrder(f"O{count}", 1, bar.symbol, side, kind, _HUNDRED, _HUNDRED, bar.start, limit),)

    return decide


def measure() -> list[ResultLine]:
    """Return the lines of the table."""
    return [*measure_quotes(), *measure_one_symbol(), *measure_bars()]


def main() -> int:
    """Print the table. Return 1 if a required value was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    lines = measure()
    print_lines(lines)
    if args.profile:
        profiler = cProfile.Profile()
        profiler.runcall(_measure_rate, _build_bars(BARS), OrderType.LIMIT)
        pstats.Stats(profiler).sort_stats("tottime").print_stats(15)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
