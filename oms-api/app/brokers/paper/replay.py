"""The core of backtests: bars go by one after the other, orders fill, decisions follow."""

from collections.abc import Callable, Iterable

from app.brokers.paper.broker import PaperBroker
from app.brokers.rules.values import BrokerOrder
from app.market_data.rules.values import Bar

Decide = Callable[[Bar, PaperBroker], Iterable[BrokerOrder]]


def replay(bars: Iterable[Bar], broker: PaperBroker, decide: Decide) -> None:
    """Let `broker` work through `bars`, in the order of time; after each, submit what `decide` returns, which
    matches from the next bar on.
    """
    for bar in bars:
        broker.bar(bar)
        for order in decide(bar, broker):
            broker.submit(order, bar.start)
