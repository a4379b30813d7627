"""Publish quotes. Match a quote with many orders in portions, so that other commands can run in between."""

import asyncio
from collections.abc import Sequence
from functools import partial
from weakref import WeakValueDictionary

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.group_commit import GroupCommit
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey
from app.market_data.queries import load_quotes, load_unmatched_quote_times
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.orders.errors import PreviousQuoteUnmatched
from app.orders.queries.orders import count_open_orders
from app.orders.rules.batching import split_keys_by_order_count
from app.orders.service.command_results import Outcome, QuoteStored
from app.orders.service.commands import WriterCommand
from app.orders.service.internal_commands import FinishQuote, MatchQuote
from app.orders.service.write_path.lock_plan import MAX_MATCHES
from app.timestamps import Timestamp, format_timestamp

_MAX_ATTEMPTS = 3


class QuoteMatcher:
    """Matches quotes with the orders of all portfolios. One instance serves a process and an event loop."""

    def __init__(
        self, writer: "GroupCommit[WriterCommand, Outcome]", readers: Readers, market: Market, now: Now
    ) -> None:
        self._writer, self._readers, self._market, self._now = writer, readers, market, now
        self._locks: WeakValueDictionary[InstrumentKey, asyncio.Lock] = WeakValueDictionary()

    async def publish(self, tenant_id: int, quote: Quote) -> None:
        """Store a quote and match the working orders of its symbol, after all earlier quotes of the symbol.

        Raises PreviousQuoteUnmatched if other processes publish quotes of the symbol at the same time.
        """
        key = InstrumentKey(tenant_id, quote.symbol)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            for _ in range(_MAX_ATTEMPTS):
                try:
                    (outcome,) = await self._submit(
                        MatchQuote(tenant_id, quote, format_timestamp(quote.at), is_new=True)
                    )
                except PreviousQuoteUnmatched:
                    await self.finish(key)
                else:
                    break
            else:
                raise PreviousQuoteUnmatched
            self._market.receive_quote(tenant_id, quote)
            if isinstance(outcome, QuoteStored):
                await self.finish(key)

    async def finish(self, key: InstrumentKey) -> None:
        """Match the stored quote of the symbol, of any process, if it has not been matched fully yet."""

        def read(connection: Connection) -> tuple[Quote | None, Timestamp | None]:
            since = load_unmatched_quote_times(connection, [key]).get(key)
            return load_quotes(connection, [key]).get(key), since

        quote, since = await self._readers.run(read, key.tenant_id)
        if quote is not None and since is not None:
            await self.match([MatchQuote(key.tenant_id, quote, since, is_new=False)])
            await self._submit(FinishQuote(*key, since))

    async def match(self, commands: Sequence[MatchQuote]) -> None:
        """Match quotes in portions of at most MAX_MATCHES orders, each in a transaction at its own time."""
        by_key = {command.instrument_key: command for command in commands}
        for tenant_id in sorted({key.tenant_id for key in by_key}):
            keys = [key for key in by_key if key.tenant_id == tenant_id]
            counts = await self._readers.run(partial(_count_open_orders, keys), tenant_id)
            order_counts = [
                ((key, portfolio_key), count) for key in keys for portfolio_key, count in counts.get(key, [])
            ]
            for portion in split_keys_by_order_count(order_counts, MAX_MATCHES):
                by_symbol: dict[InstrumentKey, list[PortfolioKey]] = {}
                for key, portfolio_key in portion:
                    by_symbol.setdefault(key, []).append(portfolio_key)
                await self._submit(
                    *(
                        by_key[key]._replace(
                            at=format_timestamp(self._now()), portfolio_keys=tuple(portfolio_keys)
                        )
                        for key, portfolio_keys in by_symbol.items()
                    )
                )

    async def _submit(self, *commands: WriterCommand) -> list[Outcome]:
        return await asyncio.gather(*self._writer.submit_all(commands))


def _count_open_orders(
    keys: Sequence[InstrumentKey], connection: Connection
) -> dict[InstrumentKey, list[tuple[PortfolioKey, int]]]:
    return count_open_orders(connection, keys)
