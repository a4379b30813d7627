"""The market watcher at the edges of sessions."""

import asyncio
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from app.calendars.service import Calendars
from app.database import Readers
from app.market_data.service import Market
from app.orders.rules.values import Status
from app.orders.service.market_watcher import MarketWatcher

OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSES = datetime(2026, 11, 20, 21, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Writer:
    """Runs the commands of a watcher at once."""

    def __init__(self, harness):
        self.harness = harness

    def submit_all(self, commands):
        return [self._run(command) for command in commands]

    async def _run(self, command):
        return self.harness.run(command)


@contextmanager
def run_watcher(harness):
    """Provide a market watcher."""
    writer = Writer(harness)
    with closing(Readers(harness.engine, 1)) as readers:
        parts = (readers, cast("Any", writer), Market(harness.source, readers), lambda: harness.now)
        yield MarketWatcher(*parts, Calendars.load())


def test_market_watcher_releases_orders_at_the_open(harness):
    harness.list_instrument()
    harness.enforce_sessions("hold")
    order, opening = harness.place_order(), harness.place_order(time_in_force="OPG")
    with run_watcher(harness) as watcher:
        orders = []
        for moment in (OPENS - MICROSECOND, OPENS, CLOSES):
            harness.now = moment
            asyncio.run(watcher.check())
            harness.expire_orders()
            orders.append((harness.get_order(order).status, harness.get_order(opening).status))
    assert orders == [
        (Status.HELD, Status.HELD),
        (Status.FILLED, Status.ACCEPTED),
        (Status.FILLED, Status.EXPIRED),
    ]
