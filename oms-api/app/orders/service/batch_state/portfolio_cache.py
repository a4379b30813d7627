"""The cache of portfolios in a process: positions, open orders and exposure.

Each value was committed. A batch takes it, reads the later changes (which another process may have written),
changes it, and puts it back after its commit.
"""

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from sqlalchemy import Connection

from app.database.versioned_cache import VersionedCache
from app.instruments.rules import Instrument
from app.ledger.rules.keys import HoldingKey, PortfolioKey
from app.ledger.service.portfolio_state import PortfolioState, PositionsByKey, get_epoch
from app.market_data.rules.values import Quote
from app.orders.service.batch_state.open_orders import PortfolioOpenOrders
from app.risk.rules.exposure import replace_totals
from app.risk.rules.values import NO_TOTALS, ExposureTotals, SymbolExposure

MAX_AGE = timedelta(seconds=2)  # the batch has not locked all that these values are computed from
MAX_VALUES = 5_000
KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class TimedValue(NamedTuple, Generic[ValueT]):
    """A value, and when it was read."""

    value: ValueT
    read_at: datetime


class RecentValues(Generic[KeyT, ValueT]):
    """The values of MAX_VALUES keys, each at most MAX_AGE old and of one version."""

    def __init__(self) -> None:
        self._cache: VersionedCache[KeyT, TimedValue[ValueT]] = VersionedCache(MAX_VALUES)

    def get(self, key: KeyT, version: str, now: datetime, read: Callable[[], ValueT]) -> ValueT:
        """Return the value of the key, which is read if it is not known."""
        recent = self._cache.get(key, version)
        if recent is None or not timedelta(0) <= now - recent.read_at < MAX_AGE:
            recent = TimedValue(read(), now)
            self._cache.put(key, version, recent)
        return recent.value


MAX_CACHED_ROWS = 500_000  # positions and open orders
MAX_PRICES = 100_000
_SESSION = "cache_session"


class PositionValuation(NamedTuple):
    """The book of a position, and its totals."""

    book: SymbolExposure
    totals: ExposureTotals


@dataclass(slots=True)
class PortfolioExposure:
    """The valuations of a portfolio's positions, and their sum.

    `by_symbol` are the keys of the valued positions. `foreign` are those in another currency than the
    portfolio's. Between batches, `stale` are the positions that changed after the last valuation, and
    `prices_version` and `marks_version` are the versions of the prices and of the marks of people at that
    time.
    """

    marks_version: str = ""
    prices_version: int = 0
    valuations: dict[HoldingKey, PositionValuation] = field(default_factory=dict)
    by_symbol: dict[str, set[HoldingKey]] = field(default_factory=dict)
    foreign: set[HoldingKey] = field(default_factory=set)
    stale: set[HoldingKey] = field(default_factory=set)
    total: ExposureTotals = NO_TOTALS

    def put(self, holding_key: HoldingKey, valuation: PositionValuation) -> None:
        """Put the current valuation of a position. Remove a flat position without orders."""
        previous = self.valuations.pop(holding_key, None)
        before = NO_TOTALS if previous is None else previous.totals
        self.total = replace_totals(self.total, before, valuation.totals)
        book = valuation.book
        if book.position or book.orders:
            self.valuations[holding_key] = valuation
            self.by_symbol.setdefault(holding_key[0], set()).add(holding_key)
        elif previous is not None:
            self.by_symbol[holding_key[0]].discard(holding_key)
        if book.rate is not None and holding_key in self.valuations:
            self.foreign.add(holding_key)
        else:
            self.foreign.discard(holding_key)

    def list_symbols(self) -> set[str]:
        """Return the symbols of the portfolio's positions and open orders, and of some earlier ones."""
        return self.by_symbol.keys() | {holding_key.symbol for holding_key in self.stale}


class PriceVersions:
    """The newest quote and instrument of each symbol, with the version at which one of them changed."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str], tuple[Quote | None, Instrument, int]] = {}
        self.version = 0  # of the newest change

    def update(self, key: tuple[int, str], quote: Quote | None, instrument: Instrument) -> None:
        """Note the current quote and instrument. Unchanged ones are the same objects as before."""
        entry = self._entries.get(key)
        if entry is not None and entry[0] is quote and entry[1] is instrument:
            return
        if len(self._entries) >= MAX_PRICES:
            self._entries.clear()
        self.version += 1
        self._entries[key] = quote, instrument, self.version

    def list_repriced(self, tenant_id: int, exposure: PortfolioExposure) -> set[HoldingKey]:
        """Return the positions that were valued with another quote or instrument than the current ones."""
        repriced: set[HoldingKey] = set()
        if exposure.prices_version < self.version:
            for symbol, holding_keys in exposure.by_symbol.items():
                entry = self._entries.get((tenant_id, symbol))
                if entry is None or entry[2] > exposure.prices_version:
                    repriced |= holding_keys
        return repriced


@dataclass(slots=True)
class CachedPortfolio:
    """A portfolio as a committed transaction left it.

    `positions` are those after the trade `last_sequence`, whose hash is `last_hash`; -1 if none are cached.
    """

    positions: PositionsByKey = field(default_factory=dict)
    last_sequence: int = -1
    last_hash: str = ""
    open_orders: PortfolioOpenOrders = field(default_factory=PortfolioOpenOrders)
    exposure: PortfolioExposure | None = None

    def precedes(self, state: PortfolioState) -> bool:
        """Return whether the ledger of the locked portfolio continues the cached one."""
        if self.last_sequence == state.last_sequence:
            return self.last_hash == state.last_hash
        return self.last_sequence < state.last_sequence


class PortfolioCache:
    """Cached portfolios of one writer thread.

    A value is used only in the session with the database in which it was cached, because a fail-over can lose
    a commit, and only in the same epoch of the portfolio (see `renew_stamp`).
    """

    def __init__(self) -> None:
        self.prices = PriceVersions()
        self._portfolios: VersionedCache[PortfolioKey, CachedPortfolio] = VersionedCache(
            MAX_CACHED_ROWS,
            lambda portfolio: 1 + len(portfolio.positions) + len(portfolio.open_orders.orders),
        )

    def take(self, connection: Connection, state: PortfolioState) -> CachedPortfolio:
        """Return the cached state of a locked portfolio, or an empty value.

        The caller changes positions and exposure. The open orders stay cached, in case that its transaction
        fails.
        """
        version = get_version(connection, state)
        cached = self._portfolios.take(state.key, version)
        if cached is None or not cached.precedes(state):
            return CachedPortfolio()
        self._portfolios.put(state.key, version, CachedPortfolio(open_orders=cached.open_orders))
        return cached

    def put(self, portfolio_key: PortfolioKey, version: str, portfolio: CachedPortfolio) -> None:
        """Cache a portfolio after the commit that left it so. `version` is that of `get_version`."""
        self._portfolios.put(portfolio_key, version, portfolio)

    def find_open_orders(self, connection: Connection, state: PortfolioState) -> PortfolioOpenOrders | None:
        """Return the current open orders of a locked portfolio if they are cached. Do not change them."""
        cached = self._portfolios.get(state.key, get_version(connection, state))
        if cached is None or cached.open_orders.stamp != state.orders_stamp:
            return None
        return cached.open_orders


def get_version(connection: Connection, state: PortfolioState) -> str:
    """Return the version of a cached portfolio: the session of the connection and the epoch of the orders."""
    session: str = connection.info.get(_SESSION) or connection.info.setdefault(_SESSION, secrets.token_hex(8))
    return f"{session} {get_epoch(state.orders_stamp)}"
