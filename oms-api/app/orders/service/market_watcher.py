"""The market duty of an API process: what works is held against the prices as they move, what is over ends.

It brings in what no request does: simulated prices, and orders and quotes that crossed in two processes.
Correctness never depends on it, nor on how many processes do it.
"""

import asyncio
import logging

from sqlalchemy import Connection

from app.clock import Now, iso
from app.database import Readers, set_all_tenants_scope
from app.errors import OmsError
from app.group_commit import GroupCommit
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.orders.queries import book as queries
from app.orders.queries.due_orders import symbols_kept_back
from app.orders.service.commands import Command, ExpireOrders, Outcome, QuoteArrived

EVERY_SECONDS = 0.4
_LOOKS = 2  # an order that crossed its quote is in sight at the second look
_LOG = logging.getLogger(__name__)

Key = tuple[int, str]


class MarketWatcher:
    """One for each process; for one event loop."""

    def __init__(
        self,
        readers: Readers,
        writer: "GroupCommit[Command, Outcome]",
        market: Market,
        now: Now,
        is_delayed: bool = False,
    ) -> None:
        self._readers = readers
        self._writer = writer
        self._market = market
        self._now = now
        self._is_delayed = (
            is_delayed  # orders take their time to the market: a quote that stands is new to them
        )
        self._seen: dict[Key, tuple[Quote, int]] = {}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.check()
            except OmsError as refusal:
                _LOG.warning("the market was not looked at: %s", refusal.detail)
            except Exception:  # noqa: BLE001  # the task's edge: whatever it was, the market is looked at again
                _LOG.exception("the market was not looked at")

    async def check(self) -> None:
        """Send what could match or end to the writer, and wait for it."""
        at = self._now()

        def read(connection: Connection) -> tuple[dict[Key, Quote], set[Key], list[int]]:
            set_all_tenants_scope(connection)
            keys = queries.symbols_with_orders(connection)
            overdue = queries.overdue_tenants(connection, iso(at))
            quotes = self._market.quotes_for(connection, keys, at)
            # A stale quote is as none: it is looked at anew once its feed is heard again.
            alive = {key: quote for key, quote in quotes.items() if not self._market.is_stale(quote, at)}
            return alive, symbols_kept_back(connection), overdue

        quotes, kept_back, overdue = await self._readers.run(read)
        self._market.follow(at)
        commands: list[Command] = [ExpireOrders(tenant_id, iso(at)) for tenant_id in overdue]
        for (tenant_id, _), quote in self._due(quotes, kept_back).items():
            commands.append(QuoteArrived(tenant_id, quote, iso(at), is_new=False))
        if commands:
            await asyncio.gather(*self._writer.submit_all(commands))

    def _due(self, quotes: dict[Key, Quote], kept_back: set[Key]) -> dict[Key, Quote]:
        """Return quotes that were not looked at often enough, and those that orders kept back wait for."""
        looks = {key: self._looks(key, quote) for key, quote in quotes.items()}
        self._seen = {key: (quote, looks[key] + 1) for key, quote in quotes.items()}
        again = quotes.keys() if self._is_delayed else kept_back
        return {key: quote for key, quote in quotes.items() if key in again or looks[key] < _LOOKS}

    def _looks(self, key: Key, quote: Quote) -> int:
        before = self._seen.get(key)
        return before[1] if before is not None and before[0] == quote else 0
