"""Backtests: orders are matched against a sequence of bars, and each bar leads to new decisions."""

from collections.abc import Callable, Iterable

from app.brokers.paper.broker import PaperBroker
from app.brokers.rules.values import BrokerOrder
from app.market_data.rules.values import Bar

Decide = Callable[[Bar, PaperBroker], Iterable[BrokerOrder]]


def replay(bars: Iterable[Bar], broker: PaperBroker, decide: Decide) -> None:
    """Match `broker` against `bars` in time order. After each bar, submit the orders that `decide` returns.

    They are matched from the next bar on.
    """
    for bar in bars:
        broker.bar(bar)
        for order in decide(bar, broker):
            broker.submit(order, bar.start)
