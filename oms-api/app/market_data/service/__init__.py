"""Quotes and bars as this process sees them: stored manual ones first, then the source's."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Lock

from sqlalchemy import Connection

from app.calendars.service import Calendars
from app.clock import EPOCH
from app.database import Readers, set_tenant_scope
from app.instruments.queries import load_symbol
from app.instruments.rules import InstrumentKey
from app.market_data import queries
from app.market_data.errors import NoQuote
from app.market_data.queries.bars import find_last_close, find_last_tick
from app.market_data.queries.mark_overrides import load_mark_overrides
from app.market_data.rules.bars import Interval, get_bar_start
from app.market_data.rules.rates import find_rate, list_pairs
from app.market_data.rules.values import Bar, Quote
from app.market_data.service.bars import read_bars
from app.market_data.service.mark_overrides import CurrentMarkOverrides
from app.market_data.service.session_closes import load_session_closes
from app.market_data.sources import PriceSource

Listener = Callable[[int, Quote], None]
MAX_FEED_SILENCE = timedelta(seconds=30)
_MICROSECOND = timedelta(microseconds=1)
_MAX_CACHED_QUOTES = 100_000
_SUBSCRIPTION_PERIOD = timedelta(minutes=10)  # how long a symbol stays subscribed after its last request


class Market:
    """Quotes and bars of every tenant. Thread-safe.

    A quote that a tenant has set takes precedence for its symbol. All others come from the price source.
    """

    def __init__(
        self,
        source: PriceSource,
        readers: Readers,
        max_silence: timedelta = MAX_FEED_SILENCE,
        calendars: Calendars | None = None,
    ) -> None:
        self._source, self._calendars = source, calendars
        self.max_silence = max_silence
        self.max_silence_seconds = Decimal(str(max_silence.total_seconds()))
        self.overrides = CurrentMarkOverrides()
        self._readers = readers
        self._last: dict[InstrumentKey, Quote] = {}
        self._lock = Lock()
        self._listeners: dict[int, tuple[frozenset[InstrumentKey], Listener]] = {}
        self._made = 0
        # symbols requested from the source, with the time of the last request
        self._asked: dict[str, datetime] = {}
        self._followed: frozenset[str] = frozenset()
        self._silent_since: datetime | None = None  # of a source that has sent nothing
        self.on_stored: Listener | None = None  # shares quotes with other processes

    def load_quotes(
        self, connection: Connection, keys: Sequence[InstrumentKey], at: datetime
    ) -> dict[InstrumentKey, Quote]:
        """Return the latest quotes, with one statement. Instruments without a quote are left out.

        A quote that is known already is the same object as before.
        """
        quotes = queries.load_quotes(connection, keys)
        queried_at: dict[str, datetime] = {}
        for key in keys:
            quote = quotes.get(key)
            if quote is None:
                queried_at[key.symbol] = at
                quote = self._source.get_quote(key.symbol, at)
            if quote is not None:
                quotes[key] = quote
        return self._store_quotes(quotes, queried_at)

    def load_past_quotes(
        self, connection: Connection, keys: Sequence[InstrumentKey], at: datetime
    ) -> dict[InstrumentKey, Quote]:
        """Return the quotes of a past instant by instrument. Instruments without a quote then are left out.

        If a later quote was set manually, the result is the last tick by the instant. If the ticks of that
        time are deleted, it is the close of the last minute that ended before the instant.
        """
        quotes: dict[InstrumentKey, Quote] = {}
        stored = queries.load_quotes(connection, keys)
        for key in keys:
            quote = stored.get(key)
            if quote is not None and quote.at > at:
                quote = find_last_tick(connection, key, at) or find_last_close(connection, key, at)
            elif quote is None:
                quote = self._source.get_quote(key.symbol, at)
            if quote is not None:
                quotes[key] = quote
        self._store_quotes({}, {key.symbol: at for key in keys if key not in stored})
        return quotes

    def load_marks(
        self, connection: Connection, keys: Sequence[InstrumentKey], at: datetime
    ) -> dict[InstrumentKey, Quote]:
        """Return the prices that value positions: marks that people set, else the latest quotes.

        Outside the session of a symbol, its last quote is the close.
        """
        overrides = load_mark_overrides(connection, keys, at)
        quotes = self.load_quotes(connection, [key for key in keys if key not in overrides], at)
        quotes |= self._mark_closes(connection, quotes, at)
        return quotes | {key: override.quote for key, override in overrides.items()}

    def load_past_marks(
        self, connection: Connection, keys: Sequence[InstrumentKey], at: datetime
    ) -> dict[InstrumentKey, Quote]:
        """Return the prices that valued positions at a past time: as `load_marks`, with past quotes."""
        overrides = load_mark_overrides(connection, keys, at)
        quotes = self.load_past_quotes(connection, [key for key in keys if key not in overrides], at)
        quotes |= self._mark_closes(connection, quotes, at)
        return quotes | {key: override.quote for key, override in overrides.items()}

    def _mark_closes(
        self, connection: Connection, quotes: Mapping[InstrumentKey, Quote], at: datetime
    ) -> dict[InstrumentKey, Quote]:
        """Return the closes among the quotes. The prices of the source move around the clock."""
        if self._calendars is None:
            return {}
        fresh_quotes = {
            key: quote for key, quote in quotes.items() if self.compute_silence(quote, at) is None
        }
        return load_session_closes(connection, self._calendars, fresh_quotes, at)

    def find_rate(
        self, connection: Connection, tenant_id: int, currency: str, base: str, at: datetime
    ) -> Decimal | None:
        """Return the value of one unit of `currency` in `base`, or None if the quotes do not give one."""
        keys = [InstrumentKey(tenant_id, symbol) for symbol in list_pairs(currency, base)]
        quotes = self.load_quotes(connection, keys, at)
        return find_rate(currency, base, {key.symbol: quote for key, quote in quotes.items()})

    def compute_silence(self, quote: Quote, at: datetime) -> timedelta | None:
        """Return how long the feed of a quote has been silent, or None for a price that was set manually.

        A symbol without trades on a live feed is not stale.
        """
        heartbeat_at = self._source.get_last_heartbeat(at) if quote.source == self._source.name else None
        return None if heartbeat_at is None else max(at - max(heartbeat_at, quote.at), timedelta(0))

    @property
    def source_name(self) -> str:
        """The name of the price source."""
        return self._source.name

    def compute_feed_silence(self, at: datetime) -> timedelta | None:
        """Return how long the price source has been silent.

        Return None if its prices are never stale, and while no symbol is subscribed: a source then sends
        nothing. A source that has sent nothing yet is silent since the first call after a subscription.
        """
        heartbeat_at = self._source.get_last_heartbeat(at)
        if heartbeat_at is None or not self._followed:
            return None
        if heartbeat_at == EPOCH:
            self._silent_since = heartbeat_at = self._silent_since or at
        return max(at - heartbeat_at, timedelta(0))

    def is_stale(self, quote: Quote, at: datetime) -> bool:
        """Return whether the quote is too old to trade at, because its feed has been silent for too long."""
        silence = self.compute_silence(quote, at)
        return silence is not None and silence > self.max_silence

    async def get_quote(self, tenant_id: int, symbol: str, at: datetime) -> Quote:
        """Return the latest quote of a symbol or alias. Raises NoQuote."""

        def read(connection: Connection) -> Quote | None:
            set_tenant_scope(connection, [tenant_id])
            key = InstrumentKey(tenant_id, load_symbol(connection, tenant_id, symbol))
            return self.load_quotes(connection, [key], at).get(key)

        quote = await self._readers.run_single(read)
        if quote is None:
            raise NoQuote(symbol)
        return quote

    async def resolve_symbol(self, tenant_id: int, name: str) -> str:
        """Return the symbol of the instrument with that symbol or alias."""
        return await self._readers.run_single(
            lambda connection: load_symbol(set_tenant_scope(connection, [tenant_id]), tenant_id, name)
        )

    def get_last_quote(self, tenant_id: int, symbol: str) -> Quote | None:
        """Return the latest quote that this process has seen, without I/O. It may be old."""
        return self._last.get(InstrumentKey(tenant_id, symbol))

    async def list_bars(
        self, tenant_id: int, symbol: str, interval: Interval, start: datetime, end: datetime, limit: int
    ) -> list[Bar]:
        """Return the newest bars that begin in [start, end), at most `limit`, in time order."""
        if end <= start:
            return []
        first = max(start, get_bar_start(end - _MICROSECOND, interval) - (limit - 1) * interval.length)

        def read(connection: Connection) -> list[Bar]:
            return self.read_bars(connection, tenant_id, symbol, interval, first, end)

        return (await self._readers.run(read, tenant_id))[-limit:]

    def read_bars(
        self, connection: Connection, tenant_id: int, symbol: str, interval: Interval, start: datetime,
        end: datetime,
    ) -> list[Bar]:  # fmt: skip
        """Return the bars that begin in [start, end), in time order."""
        key = InstrumentKey(tenant_id, symbol)
        if queries.load_quotes(connection, [key]):
            return read_bars(connection, key, interval, start, end)
        return list(self._source.get_bars(symbol, interval, start, end) or ())

    def subscribe(self, keys: Iterable[InstrumentKey], listener: Listener) -> Callable[[], None]:
        """Call `listener(tenant id, quote)` for every new quote of these instruments.

        It is called for the quotes that this process learns of, in the thread that receives them, and
        replaces polling. Return a function that ends the subscription.
        """
        with self._lock:
            self._made += 1
            number = self._made
            self._listeners[number] = (frozenset(keys), listener)
            self._notify_source()

        def unsubscribe() -> None:
            with self._lock:
                self._listeners.pop(number, None)
                self._notify_source()

        return unsubscribe

    def follow(self, at: datetime) -> None:
        """Subscribe the source to all symbols that have a listener or were requested recently.

        These are symbols of open orders, of displayed positions and of requested quotes.
        """
        with self._lock:
            self._asked = {
                symbol: when for symbol, when in self._asked.items() if at - when < _SUBSCRIPTION_PERIOD
            }
            self._notify_source()

    def poll(self, connection: Connection, at: datetime) -> None:
        """Query new quotes of all subscribed symbols."""
        with self._lock:
            instrument_keys = self._list_followed()
        if instrument_keys:
            tenants = {key.tenant_id for key in instrument_keys}
            self.load_quotes(set_tenant_scope(connection, tenants), sorted(instrument_keys), at)

    def receive_quote(self, tenant_id: int, quote: Quote) -> None:
        """Notify listeners of a quote that was sent to this process, after it was stored."""
        self._store_quotes({InstrumentKey(tenant_id, quote.symbol): quote}, {})
        if self.on_stored is not None:
            self.on_stored(tenant_id, quote)

    def apply_shared_quote(self, tenant_id: int, quote: Quote) -> None:
        """Notify listeners of a quote that was sent to another process, unless a later one is known."""
        last = self.get_last_quote(tenant_id, quote.symbol)
        if last is None or last.source != quote.source or last.at < quote.at:
            self._store_quotes({InstrumentKey(tenant_id, quote.symbol): quote}, {})

    @property
    def followed_symbols(self) -> int:
        """The number of symbols that the source follows."""
        return len(self._followed)

    def _store_quotes(
        self, quotes: dict[InstrumentKey, Quote], queried_at: Mapping[str, datetime]
    ) -> dict[InstrumentKey, Quote]:
        """Keep the quotes, and call the listeners of new ones. Return known ones as the known object."""
        with self._lock:
            if len(self._asked) + len(queried_at) > _MAX_CACHED_QUOTES:
                self._asked.clear()
            self._asked.update(queried_at)
            known_quotes = {
                key: last for key, quote in quotes.items() if (last := self._last.get(key)) == quote
            }
            new = {key: quote for key, quote in quotes.items() if key not in known_quotes}
            if len(self._last) + len(new) > _MAX_CACHED_QUOTES:
                self._last.clear()
            self._last.update(new)
            calls = [
                (listener, key.tenant_id, quote)
                for keys, listener in self._listeners.values()
                for key, quote in new.items()
                if key in keys
            ]
        for listener, tenant_id, quote in calls:
            listener(tenant_id, quote)
        return quotes | known_quotes

    def _list_followed(self) -> set[InstrumentKey]:
        return {key for keys, _ in self._listeners.values() for key in keys}

    def _notify_source(self) -> None:
        """Call the source under the lock, so that it receives changes in order. The call never blocks."""
        symbols = frozenset(key.symbol for key in self._list_followed()) | self._asked.keys()
        if symbols != self._followed:
            self._followed = symbols
            self._source.follow(symbols)
