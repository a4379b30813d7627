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
from app.ledger.rules.keys import PortfolioKey, SymbolProductKey
from app.ledger.service.portfolio_state import PortfolioState, PositionsByKey, get_repair_version
from app.market_data.rules.values import Quote
from app.orders.service.batch_state.open_orders import PortfolioOpenOrders
from app.risk.rules.exposure import replace_totals
from app.risk.rules.values import NO_EXPOSURE, ExposureTotals, SymbolExposure

MAX_VALUE_AGE = timedelta(seconds=2)  # the batch has not locked all that these values are computed from
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
        """Return the value of the key. Read it if no recent value of this version is cached."""
        recent = self._cache.get(key, version)
        if recent is None or not timedelta(0) <= now - recent.read_at < MAX_VALUE_AGE:
            recent = TimedValue(read(), now)
            self._cache.put(key, version, recent)
        return recent.value


MAX_CACHED_ROWS = 500_000  # positions and open orders
MAX_PRICES = 100_000
_SESSION_KEY = "cache_session"


class PositionRisk(NamedTuple):
    """The exposure of a position with its open orders, and its totals."""

    book: SymbolExposure
    totals: ExposureTotals


@dataclass(slots=True)
class PortfolioRisk:
    """The exposures of a portfolio's positions and open orders, and their sum.

    `by_symbol` has the keys of the valued positions. `foreign` has the positions in another currency than the
    portfolio's. Between batches, `positions_to_revalue` are the positions that changed after the last
    valuation. `prices_version` and `marks_version` are the versions of the prices and of the mark overrides
    at the last valuation.
    """

    marks_version: str = ""
    prices_version: int = 0
    valuations: dict[SymbolProductKey, PositionRisk] = field(default_factory=dict)
    by_symbol: dict[str, set[SymbolProductKey]] = field(default_factory=dict)
    foreign: set[SymbolProductKey] = field(default_factory=set)
    positions_to_revalue: set[SymbolProductKey] = field(default_factory=set)
    total: ExposureTotals = NO_EXPOSURE

    def put(self, symbol_product_key: SymbolProductKey, valuation: PositionRisk) -> None:
        """Put the current valuation of a position. Remove a flat position without orders."""
        previous = self.valuations.pop(symbol_product_key, None)
        before = NO_EXPOSURE if previous is None else previous.totals
        self.total = replace_totals(self.total, before, valuation.totals)
        book = valuation.book
        if book.position or book.orders:
            self.valuations[symbol_product_key] = valuation
            self.by_symbol.setdefault(symbol_product_key[0], set()).add(symbol_product_key)
        elif previous is not None:
            self.by_symbol[symbol_product_key[0]].discard(symbol_product_key)
        if book.rate is not None and symbol_product_key in self.valuations:
            self.foreign.add(symbol_product_key)
        else:
            self.foreign.discard(symbol_product_key)

    def list_symbols(self) -> set[str]:
        """Return the symbols of the portfolio's positions and open orders, and of some earlier ones."""
        return self.by_symbol.keys() | {
            symbol_product_key.symbol for symbol_product_key in self.positions_to_revalue
        }


class PriceVersions:
    """The newest quote and instrument of each symbol, with the version at which one of them changed."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str], tuple[Quote | None, Instrument, int]] = {}
        self.version = 0  # of the newest change

    def update(self, key: tuple[int, str], quote: Quote | None, instrument: Instrument) -> None:
        """Set the current quote and instrument. They are unchanged if they are the same objects as before."""
        entry = self._entries.get(key)
        if entry is not None and entry[0] is quote and entry[1] is instrument:
            return
        if len(self._entries) >= MAX_PRICES:
            self._entries.clear()
        self.version += 1
        self._entries[key] = quote, instrument, self.version

    def list_repriced(self, tenant_id: int, exposure: PortfolioRisk) -> set[SymbolProductKey]:
        """Return the positions whose quote or instrument changed after their valuation."""
        repriced: set[SymbolProductKey] = set()
        if exposure.prices_version < self.version:
            for symbol, symbol_product_keys in exposure.by_symbol.items():
                entry = self._entries.get((tenant_id, symbol))
                if entry is None or entry[2] > exposure.prices_version:
                    repriced |= symbol_product_keys
        return repriced


@dataclass(slots=True)
class CachedPortfolio:
    """A portfolio after a committed transaction.

    `positions` are the positions after the trade with the sequence number `last_sequence` and the hash
    `last_hash`. The number is -1 if no position is cached.
    """

    positions: PositionsByKey = field(default_factory=dict)
    last_sequence: int = -1
    last_hash: str = ""
    open_orders: PortfolioOpenOrders = field(default_factory=PortfolioOpenOrders)
    exposure: PortfolioRisk | None = None

    def precedes(self, state: PortfolioState) -> bool:
        """Return whether the ledger of the locked portfolio continues the cached one."""
        if self.last_sequence == state.last_sequence:
            return self.last_hash == state.last_hash
        return self.last_sequence < state.last_sequence


class PortfolioCache:
    """Cached portfolios of one writer thread.

    A value is used only in the session with the database in which it was cached, because a fail-over can lose
    a commit, and only with the same repair version (see `get_repair_version`).
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
        """Cache a portfolio after a commit. `version` is the result of `get_version`."""
        self._portfolios.put(portfolio_key, version, portfolio)

    def find_open_orders(self, connection: Connection, state: PortfolioState) -> PortfolioOpenOrders | None:
        """Return the current open orders of a locked portfolio if they are cached. Do not change them."""
        cached = self._portfolios.get(state.key, get_version(connection, state))
        if cached is None or cached.open_orders.version != state.open_orders_version:
            return None
        return cached.open_orders


def get_version(connection: Connection, state: PortfolioState) -> str:
    """Return the version of a cached portfolio: the session of the connection, and the repair version."""
    session: str = connection.info.get(_SESSION_KEY) or connection.info.setdefault(
        _SESSION_KEY, secrets.token_hex(8)
    )
    return f"{session} {get_repair_version(state.open_orders_version)}"
