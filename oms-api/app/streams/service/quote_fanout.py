"""Fan out quotes. Each quote is serialized once; connections with the same symbols share their frames."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock
from typing import Any

import orjson
from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers, set_tenant_scope
from app.instruments.queries import load_symbol
from app.instruments.rules import InstrumentKey
from app.market_data.rules.values import Quote
from app.market_data.service import Market
from app.streams.rules.frames import build_item_frame
from app.streams.rules.messages import ChannelKind
from app.streams.service.outbox import Outbox

FLUSH_SECONDS = 0.1
_QUOTES_KIND = ChannelKind.QUOTES


class QuoteFanout:
    """Sends quotes to the connections of this process. It belongs to one event loop."""

    def __init__(
        self,
        market: Market,
        readers: Readers,
        serialize: Callable[[Quote, datetime], dict[str, Any]],
        now: Now,
    ) -> None:
        self._market, self._readers, self._serialize, self._now = market, readers, serialize, now
        self._symbols: dict[Outbox, frozenset[InstrumentKey]] = {}
        self._groups: dict[frozenset[InstrumentKey], set[Outbox]] = {}
        self._subscribed_keys: frozenset[InstrumentKey] = frozenset()
        self._unsubscribe: Callable[[], None] | None = None
        self._changed_quotes: dict[InstrumentKey, Quote] = {}
        self._lock = Lock()

    async def run(self) -> None:
        """Send changed quotes every FLUSH_SECONDS until canceled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()

    def get_symbols(self, outbox: Outbox) -> frozenset[InstrumentKey]:
        """Return the symbols of a connection."""
        return self._symbols.get(outbox, frozenset())

    async def add(self, tenant_id: int, outbox: Outbox, names: Iterable[str]) -> None:
        """Send the quotes of symbols, beginning with the latest ones. Raises Unavailable."""
        names = list(names)

        def read(connection: Connection) -> dict[InstrumentKey, Quote | None]:
            set_tenant_scope(connection, [tenant_id])
            keys = [InstrumentKey(tenant_id, load_symbol(connection, tenant_id, name)) for name in names]
            quotes = self._market.load_quotes(connection, keys, self._now())
            return {key: quotes.get(key) for key in keys}

        quotes = await self._readers.run_single(read)
        self._set_symbols(outbox, self.get_symbols(outbox) | frozenset(quotes))
        items = self._serialize_all({key: quote for key, quote in quotes.items() if quote is not None})
        if items:
            outbox.put_items(_QUOTES_KIND, {key.symbol: text for key, text in items.items()})

    async def remove(self, tenant_id: int, outbox: Outbox, names: Iterable[str]) -> None:
        """Stop sending the quotes of these symbols. Raises Unavailable."""
        names = list(names)

        def read(connection: Connection) -> set[InstrumentKey]:
            set_tenant_scope(connection, [tenant_id])
            return {InstrumentKey(tenant_id, load_symbol(connection, tenant_id, name)) for name in names}

        removed = await self._readers.run_single(read)
        self._set_symbols(outbox, self.get_symbols(outbox) - removed)

    def unsubscribe_all(self, outbox: Outbox) -> None:
        """Stop sending quotes to a connection."""
        self._set_symbols(outbox, frozenset())

    def apply_quote(self, tenant_id: int, quote: Quote) -> None:
        """Send a quote at the next flush. It may be called in any thread."""
        with self._lock:
            self._changed_quotes[InstrumentKey(tenant_id, quote.symbol)] = quote

    def flush(self) -> None:
        """Send the last quote of each symbol that has changed."""
        if not self._changed_quotes:
            return
        with self._lock:
            changed_quotes, self._changed_quotes = self._changed_quotes, {}
        texts = self._serialize_all(changed_quotes)
        for keys, outboxes in self._groups.items():
            items = {key.symbol: texts[key] for key in texts.keys() & keys}
            if items:
                frame = build_item_frame(_QUOTES_KIND, list(items.items()))
                for outbox in outboxes:
                    outbox.put_items(_QUOTES_KIND, items, frame)

    def _serialize_all(self, quotes: dict[InstrumentKey, Quote]) -> dict[InstrumentKey, str]:
        now = self._now()
        return {key: orjson.dumps(self._serialize(quote, now)).decode() for key, quote in quotes.items()}

    def _set_symbols(self, outbox: Outbox, keys: frozenset[InstrumentKey]) -> None:
        previous = self._symbols.pop(outbox, frozenset())
        if previous in self._groups:
            self._groups[previous].discard(outbox)
            if not self._groups[previous]:
                del self._groups[previous]
        if keys and not outbox.closed.done():
            self._symbols[outbox] = keys
            self._groups.setdefault(keys, set()).add(outbox)
        self._update_market_subscription()

    def _update_market_subscription(self) -> None:
        """Subscribe to the market's quotes of all symbols that a connection has."""
        instrument_keys = frozenset[InstrumentKey]().union(*self._groups)
        if instrument_keys == self._subscribed_keys:
            return
        previous, self._subscribed_keys = self._unsubscribe, instrument_keys
        self._unsubscribe = (
            self._market.subscribe(instrument_keys, self.apply_quote) if instrument_keys else None
        )
        if previous is not None:
            previous()
