"""The cache of what a process knows of portfolios: positions, open orders and exposure.

Each value was committed. A batch takes it, reads what changed since (which another process may have written),
changes it, and puts it back after its commit.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection

from app.database.versioned_cache import VersionedCache
from app.instruments.rules import Instrument
from app.ledger.rules.keys import HoldingKey, PortfolioKey
from app.ledger.service.books import Held, PortfolioState
from app.ledger.service.stamps import get_epoch
from app.market_data.rules.values import Quote
from app.orders.service.open_orders import OpenOrders
from app.risk.rules.values import NOTHING, SymbolBook, Totals

MAX_CACHED_ROWS = 500_000  # positions and open orders
_SESSION = "cache_session"


class Valuation(NamedTuple):
    """The book and totals of a position, and the quote and instrument that they were computed with."""

    book: SymbolBook
    totals: Totals
    quote: Quote | None
    instrument: Instrument


@dataclass(slots=True)
class Exposure:
    """The valuations of a portfolio's positions, and their sum.

    `foreign` are the positions in another currency than the portfolio's. Between batches, `stale` are the
    positions that changed after the last valuation. `marks_version` is the version of the marks of people at
    that time.
    """

    marks_version: str = ""
    valuations: dict[HoldingKey, Valuation] = field(default_factory=dict)
    foreign: set[HoldingKey] = field(default_factory=set)
    stale: set[HoldingKey] = field(default_factory=set)
    total: Totals = NOTHING

    def list_repriced(self, current: Mapping[str, tuple[Quote | None, Instrument]]) -> set[HoldingKey]:
        """Return the positions that were valued with another quote or instrument than the current ones.

        `current` is by symbol. A quote or an instrument that did not change is the same object as before.
        """
        return {
            holding_key
            for holding_key, (_, _, quote, instrument) in self.valuations.items()
            if (found := current.get(holding_key[0])) is not None
            and (found[0] is not quote or found[1] is not instrument)
        }


@dataclass(slots=True)
class CachedPortfolio:
    """A portfolio as a committed transaction left it.

    `positions` are those after the trade `last_sequence`, whose hash is `last_hash`; -1 if none are cached.
    """

    positions: Held = field(default_factory=dict)
    last_sequence: int = -1
    last_hash: str = ""
    open_orders: OpenOrders = field(default_factory=OpenOrders)
    exposure: Exposure | None = None

    def precedes(self, state: PortfolioState) -> bool:
        """Return whether the ledger of the locked portfolio continues the cached one."""
        if self.last_sequence == state.last_sequence:
            return self.last_hash == state.last_hash
        return self.last_sequence < state.last_sequence


class PortfolioCache:
    """Cached portfolios of one writer thread.

    A value is used only in the session with the database in which it was cached, because a fail-over can lose
    a commit, and only in the same epoch of the portfolio (see `ledger.service.stamps`).
    """

    def __init__(self) -> None:
        self._portfolios: VersionedCache[PortfolioKey, CachedPortfolio] = VersionedCache(
            MAX_CACHED_ROWS, lambda one: 1 + len(one.positions) + len(one.open_orders.orders)
        )

    def take(self, connection: Connection, state: PortfolioState) -> CachedPortfolio:
        """Return what is cached of a locked portfolio, or an empty value.

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

    def find_open_orders(self, connection: Connection, state: PortfolioState) -> OpenOrders | None:
        """Return the current open orders of a locked portfolio if they are cached. Do not change them."""
        cached = self._portfolios.get(state.key, get_version(connection, state))
        if cached is None or cached.open_orders.stamp != state.orders_stamp:
            return None
        return cached.open_orders


def get_version(connection: Connection, state: PortfolioState) -> str:
    """Return what must not change while a portfolio is cached: the session and the epoch."""
    session: str = connection.info.get(_SESSION) or connection.info.setdefault(_SESSION, secrets.token_hex(8))
    return f"{session} {get_epoch(state.orders_stamp)}"
