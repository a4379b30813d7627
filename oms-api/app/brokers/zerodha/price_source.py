"""Kite's ticks as prices. A thread receives them, and callers get the last received prices.

Only the symbols that are followed are subscribed to, in full mode, which has bid and ask. The socket
needs the session of the day, so that prices become stale when it ends.
"""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from typing_extensions import override
from websockets.sync.client import ClientConnection

from app.brokers.errors import SessionNeeded
from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.remote.stream import BrokerStream
from app.brokers.rules.connections import ConnectionTerms
from app.brokers.zerodha.client import LABEL, KiteClient, KiteCredentials
from app.brokers.zerodha.factory import get_credentials
from app.brokers.zerodha.rules.sessions import build_stream_address
from app.brokers.zerodha.rules.ticks import (
    MalformedFrame,
    Tick,
    index_tokens_by_symbol,
    merge_tick,
    parse_frame,
)
from app.clock import EPOCH, Now, monotonic_seconds, utc_now
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote

NAME = "zerodha"
EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")  # of a symbol that several have, the first
MAX_SILENCE_SECONDS = 10.0
MAX_SUBSCRIPTIONS = 3_000  # of a connection
DUMP_MAX_AGE = timedelta(hours=12)
DUMP_READ_TIMEOUT_SECONDS = 60.0
_LOG = logging.getLogger(__name__)
FindTerms = Callable[[], ConnectionTerms | None]


class KiteSource:
    """Implements `PriceSource`. It sends nothing before the first symbol is followed.

    `find_terms` reads the connection whose session the socket uses, at each connect.
    """

    name = NAME

    def __init__(self, find_terms: FindTerms, now: Now = utc_now) -> None:
        self._now = now
        self._symbols: dict[int, str] = {}  # of subscribed tokens
        self._ticks: dict[int, Tick] = {}
        self._quotes: dict[str, Quote] = {}
        self._heard_at: datetime | None = None
        self._stream = _TickStream(self, find_terms, now)

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:  # noqa: ARG002  # declared by PriceSource
        """Return the latest quote, or None if none was received."""
        return self._quotes.get(symbol)

    def get_last_heartbeat(self, at: datetime) -> datetime | None:  # noqa: ARG002  # declared by PriceSource
        """Return when the socket sent a frame last, also an empty one. Before the first, return 1970."""
        return self._heard_at or EPOCH

    def get_bars(
        self, symbol: str, interval: Interval, start: datetime, end: datetime,  # noqa: ARG002  # declared by PriceSource
    ) -> Sequence[Bar] | None:  # fmt: skip
        """Return None: bars are built from the stored quotes."""
        return None

    def follow(self, symbols: frozenset[str]) -> None:
        """Subscribe to these symbols, within a second."""
        self._stream.wanted = symbols
        if symbols:
            self._stream.start()

    def close(self) -> None:
        """Close the socket."""
        self._stream.close()

    # Called by the stream, in its thread

    def set_symbols(self, symbols: dict[int, str]) -> None:
        """Note the symbols of the tokens that are subscribed to. Prices of others are forgotten."""
        self._symbols = symbols
        subscribed_symbols = set(symbols.values())
        self._ticks = {token: tick for token, tick in self._ticks.items() if token in symbols}
        self._quotes = {
            symbol: quote for symbol, quote in self._quotes.items() if symbol in subscribed_symbols
        }

    def receive(self, ticks: Sequence[Tick]) -> None:
        """Note that the socket sent a frame, and its ticks."""
        self._heard_at = now = self._now()
        for partial_tick in ticks:
            symbol = self._symbols.get(partial_tick.token)
            if symbol is None:
                continue
            tick = self._ticks[partial_tick.token] = merge_tick(self._ticks, partial_tick)
            at = tick.at or now
            sizes = (tick.bid_size, tick.ask_size)
            self._quotes[symbol] = Quote(symbol, tick.bid, tick.ask, tick.last, *sizes, at, NAME)


class _TickStream(BrokerStream):
    """The ticker socket of prices. `wanted` are the symbols to subscribe to."""

    max_silence_seconds = MAX_SILENCE_SECONDS

    def __init__(self, source: KiteSource, find_terms: FindTerms, now: Now) -> None:
        super().__init__(f"{LABEL}'s prices", self, monotonic_seconds)
        self.wanted: frozenset[str] = frozenset()
        self._source, self._find_terms, self._now = source, find_terms, now
        self._terms: ConnectionTerms | None = None
        self._tokens: dict[str, int] = {}
        self._dumped_at = EPOCH
        self._subscribed: frozenset[int] = frozenset()
        self._client: ClientConnection | None = None

    @override
    def build_url(self) -> str:
        self._terms = self._find_terms()
        credentials = None if self._terms is None else get_credentials(self._terms)
        if self._terms is None or credentials is None or credentials.access_token is None:
            raise SessionNeeded(LABEL)
        return build_stream_address(self._terms.base_url, credentials.api_key, credentials.access_token)

    @override
    def log_in(self, socket: ClientConnection) -> None:
        self._client, self._subscribed = socket, frozenset()

    @override
    def receive_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            return  # orders, which the session of the connection reads
        try:
            self._source.receive(parse_frame(frame))
        except MalformedFrame:
            _LOG.warning("a frame of %s was not understood", self.label)

    # The listener of the stream

    def synchronize(self) -> None:
        """Subscribe again after a connect."""
        if self._terms is not None and self._now() - self._dumped_at > DUMP_MAX_AGE:
            self._tokens = _fetch_tokens(self._terms.base_url)
            self._dumped_at = self._now()
        self.check_silence()

    def check_silence(self) -> None:
        """Subscribe to the symbols that are wanted now, and end the other subscriptions."""
        symbols = {self._tokens[symbol]: symbol for symbol in sorted(self.wanted) if symbol in self._tokens}
        tokens = frozenset(list(symbols)[:MAX_SUBSCRIPTIONS])
        if self._client is None or tokens == self._subscribed:
            return
        self._source.set_symbols({token: symbols[token] for token in tokens})
        removed_tokens, added_tokens = sorted(self._subscribed - tokens), sorted(tokens - self._subscribed)
        if removed_tokens:
            self._client.send(json.dumps({"a": "unsubscribe", "v": removed_tokens}))
        if added_tokens:
            self._client.send(json.dumps({"a": "subscribe", "v": added_tokens}))
            self._client.send(json.dumps({"a": "mode", "v": ["full", added_tokens]}))
        self._subscribed = tokens


def _fetch_tokens(base_url: str) -> dict[str, int]:
    client = KiteClient(
        base_url, KiteCredentials("", ""), timeouts=RestTimeouts(response=DUMP_READ_TIMEOUT_SECONDS)
    )
    try:
        return index_tokens_by_symbol(client.get_text("/instruments").splitlines(), EXCHANGES)
    finally:
        client.close()
