"""Replay of bars: orders are matched against a sequence of bars, and each bar leads to new decisions."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from app.brokers.in_memory.broker import InMemoryBroker
from app.brokers.rules.values import BrokerOrder
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar

DecideOrders = Callable[[Bar, InMemoryBroker], Iterable[BrokerOrder]]


def replay(
    bars: Iterable[Bar],
    broker: InMemoryBroker,
    decide: DecideOrders,
    length: timedelta = Interval.MINUTE.length,
) -> None:
    """Match `broker` against `bars` in time order. After each bar, submit the orders that `decide` returns.

    A bar is known at its end, `length` after its start. That is the instant of the orders made on it,
    whatever `accepted_at` they have. They are matched from the first later bar that begins at least the
    broker's latency after that instant.
    """
    for bar in bars:
        broker.apply_bar(bar)
        end = bar.start + length
        for order in decide(bar, broker):
            broker.submit(order._replace(accepted_at=end), end)
