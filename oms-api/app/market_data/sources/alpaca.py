"""Quotes and bars of Alpaca. A thread reads them, and callers get the prices that were read last.

The quotes of all symbols with a listener are read every second. Bars are read when they are requested; until
they arrive, the stored ones are used.
"""

import json
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import httpx

from app.clock import EPOCH, Now, utc_now
from app.market_data.rules.alpaca_messages import SOURCE, TIMEFRAMES, is_pair, parse_bars, parse_quotes
from app.market_data.rules.bars import Interval
from app.market_data.rules.values import Bar, Quote
from app.timestamps import format_timestamp

READ_SECONDS = 1.0
TIMEOUT_SECONDS = 5.0
MAX_PAUSE_SECONDS = 30.0
MAX_SYMBOLS_PER_REQUEST = 200
MAX_BARS = 10_000
MAX_CACHED_BARS = 500  # series of bars
BARS_MAX_AGE = timedelta(minutes=1)
_EQUITY_QUOTES, _CRYPTO_QUOTES = "/v2/stocks/quotes/latest", "/v1beta3/crypto/us/latest/quotes"
_EQUITY_BARS, _CRYPTO_BARS = "/v2/stocks/bars", "/v1beta3/crypto/us/bars"
_LOG = logging.getLogger(__name__)


class AlpacaAccess(NamedTuple):
    """The address of the market data, its feed (`iex` or `sip`), and the credentials."""

    url: str
    feed: str
    key_id: str
    secret_key: str


class _Series(NamedTuple):
    symbol: str
    interval: Interval


class _Bars(NamedTuple):
    start: datetime
    read_at: datetime
    bars: Sequence[Bar]


class AlpacaSource:
    """Implements `PriceSource`. It sends nothing before the first symbol is followed."""

    name = SOURCE

    def __init__(self, access: AlpacaAccess, now: Now = utc_now) -> None:
        self._access, self._now = access, now
        self._symbols: frozenset[str] = frozenset()
        self._quotes: dict[str, Quote] = {}
        self._bars: dict[_Series, _Bars] = {}
        self._requested_starts: dict[_Series, datetime] = {}
        self._heard_at: datetime | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def get_quote(self, symbol: str, at: datetime) -> Quote | None:  # noqa: ARG002  # declared by PriceSource
        """Return the latest quote, or None if none was read."""
        return self._quotes.get(symbol)

    def get_last_heartbeat(self, at: datetime) -> datetime | None:  # noqa: ARG002  # declared by PriceSource
        """Return when Alpaca answered last. Before the first answer, return 1970."""
        return self._heard_at or EPOCH

    def get_bars(
        self, symbol: str, interval: Interval, start: datetime, end: datetime
    ) -> Sequence[Bar] | None:
        """Return the bars that were read, or None and read them soon."""
        series = _Series(symbol, interval)
        cached_bars = self._bars.get(series)
        if (
            cached_bars is None
            or cached_bars.start > start
            or self._now() - cached_bars.read_at > BARS_MAX_AGE
        ):
            with self._lock:
                self._requested_starts[series] = min(start, self._requested_starts.get(series, start))
            self._start()
        if cached_bars is None or cached_bars.start > start:
            return None
        return [bar for bar in cached_bars.bars if start <= bar.start < end]

    def follow(self, symbols: frozenset[str]) -> None:
        """Read the quotes of these symbols from now on."""
        self._symbols = symbols
        if symbols:
            self._start()

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="alpaca-prices", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = READ_SECONDS
        with httpx.Client(
            base_url=self._access.url,
            headers={"APCA-API-KEY-ID": self._access.key_id, "APCA-API-SECRET-KEY": self._access.secret_key},
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
        ) as http:
            while not self._stop.is_set():
                try:
                    self._read_quotes(http)
                    self._read_bars(http)
                    pause = READ_SECONDS
                except (httpx.HTTPError, ValueError) as error:
                    pause = min(pause * 2, MAX_PAUSE_SECONDS)
                    _LOG.warning("prices of Alpaca could not be read: %s", _describe(error))
                self._stop.wait(pause)

    def _read_quotes(self, http: httpx.Client) -> None:
        pairs = sorted(symbol for symbol in self._symbols if is_pair(symbol))
        equity_symbols = sorted(symbol for symbol in self._symbols if not is_pair(symbol))
        for path, symbols, extra in (
            (_EQUITY_QUOTES, equity_symbols, {"feed": self._access.feed}),
            (_CRYPTO_QUOTES, pairs, {}),
        ):
            for names in _split(symbols):
                answer = _get(http, path, {"symbols": names} | extra)
                self._quotes |= {quote.symbol: quote for quote in parse_quotes(answer)}
                self._heard_at = self._now()

    def _read_bars(self, http: httpx.Client) -> None:
        with self._lock:
            requested, self._requested_starts = self._requested_starts, {}
        for series, start in requested.items():
            has_pair = is_pair(series.symbol)
            parameters = {
                "symbols": series.symbol,
                "timeframe": TIMEFRAMES[series.interval],
                "start": format_timestamp(start),
                "limit": str(MAX_BARS),
            }
            if not has_pair:
                parameters["feed"] = self._access.feed
            answer = _get(http, _CRYPTO_BARS if has_pair else _EQUITY_BARS, parameters)
            bars = parse_bars(answer, series.symbol, series.interval)
            if len(self._bars) >= MAX_CACHED_BARS:
                self._bars.clear()
            self._bars[series] = _Bars(start, self._now(), bars)


def _get(http: httpx.Client, path: str, parameters: dict[str, str]) -> Any:
    response = http.get(path, params=parameters)
    response.raise_for_status()
    return json.loads(response.content, parse_float=Decimal)


def _split(symbols: Sequence[str]) -> Iterable[str]:
    for first in range(0, len(symbols), MAX_SYMBOLS_PER_REQUEST):
        yield ",".join(symbols[first : first + MAX_SYMBOLS_PER_REQUEST])


def _describe(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__
