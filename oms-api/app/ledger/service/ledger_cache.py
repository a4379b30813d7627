"""The cache of portfolios and positions as the last committed batch of the process left them."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.database.commit_status import get_row_version
from app.database.versioned_cache import VersionedCache
from app.ledger.queries.batch_statements import LockedRow
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.service.portfolio_state import PortfolioState, build_state

MAX_CACHED_ROWS = 500_000  # portfolios and positions
_SESSION = "ledger_cache_session"
CachedPositions = dict[tuple[int, int, str, str], Position]


class CachedLedger(NamedTuple):
    """A portfolio, and its positions that were read or changed so far."""

    state: PortfolioState
    positions: CachedPositions


class LedgerCache:
    """Cached portfolios of one writer thread, by the version of their row (PostgreSQL).

    The version is the `xmin` of the row: the transaction that wrote it. Code that changes a position also
    writes the row of its portfolio in the same transaction. A version is valid only in the session with the
    database in which it was read, because a fail-over can lose a transaction and give its number again.
    """

    def __init__(self) -> None:
        self._portfolios: VersionedCache[PortfolioKey, CachedLedger] = VersionedCache(
            MAX_CACHED_ROWS, lambda ledger: 1 + len(ledger.positions)
        )
        self._session: str | None = None

    def list_versions(
        self, connection: Connection, keys: Sequence[PortfolioKey]
    ) -> list[tuple[int, int, str | None]]:
        """Return tenant id, id and the cached version of each portfolio, None if it is not cached."""
        session: str = connection.info.get(_SESSION) or connection.info.setdefault(
            _SESSION, secrets.token_hex(8)
        )
        if session != self._session:
            self.clear()
            self._session = session
        return [(*key, self._portfolios.get_version(key)) for key in keys]

    def take(self, key: PortfolioKey, version: str) -> CachedLedger | None:
        """Remove the portfolio, and return it if it has that version. The caller may change it."""
        return self._portfolios.take(key, version)

    def put(self, version: str, ledger: CachedLedger) -> None:
        """Cache a portfolio after the commit that left it so."""
        self._portfolios.put(ledger.state.key, version, ledger)

    def clear(self) -> None:
        """Remove all portfolios."""
        self._portfolios.clear()


class LockedLedgers:
    """The portfolios that a batch has locked, with their versions and their cached state."""

    def __init__(self, connection: Connection, cache: LedgerCache | None) -> None:
        self._connection, self._cache = connection, cache
        self._versions: dict[tuple[int, int], str] = {}
        self._positions: dict[tuple[int, int], CachedPositions] = {}
        self.written: set[PortfolioKey] = set()  # whose rows the batch wrote

    def list_versions(self, keys: Sequence[PortfolioKey]) -> list[tuple[int, int, str | None]]:
        """Return tenant id, id and the cached version of each portfolio."""
        if self._cache is None:
            return [(*key, None) for key in keys]
        return self._cache.list_versions(self._connection, keys)

    def get_state(self, row: LockedRow) -> PortfolioState:
        """Return the state of a locked portfolio, from the cache if its row has not changed."""
        if row.state is not None:
            state = build_state(row.state)
        else:
            state = self._take(PortfolioKey(row.tenant_id, row.id), row.version or "")
        if row.version is not None:
            self._versions[row.tenant_id, row.id] = row.version
        return state

    def _take(self, key: PortfolioKey, version: str) -> PortfolioState:
        cached = None if self._cache is None else self._cache.take(key, version)
        if cached is None:
            raise LookupError(f"portfolio {key} of version {version} is not cached")
        self._positions[key] = cached.positions
        return cached.state

    def find_position(self, key: PositionKey) -> Position | None:
        """Return a cached position of a locked portfolio, or None."""
        positions = self._positions.get((key.tenant_id, key.portfolio_id))
        return None if positions is None else positions.get(key)

    def create_cache_update(
        self, states: Mapping[tuple[int, int], PortfolioState], positions: CachedPositions
    ) -> Callable[[], None]:
        """Return a function that caches the portfolios. Call it after the commit.

        `states` and `positions` belong to the batch, which may still change them. A portfolio whose row other
        code of the transaction wrote is not found in the cache later, because its version is another one.
        """
        written_version = get_row_version(self._connection)

        def update() -> None:
            if self._cache is None:
                return
            positions_by_portfolio = {key: self._positions.get(key, {}) for key in self._versions}
            for key, position in positions.items():
                if key[:2] in positions_by_portfolio:
                    positions_by_portfolio[key[:2]][key] = position
            for portfolio_key, positions_of_portfolio in positions_by_portfolio.items():
                is_written = portfolio_key in self.written
                version = written_version if is_written else self._versions[portfolio_key]
                if version is not None:
                    self._cache.put(version, CachedLedger(states[portfolio_key], positions_of_portfolio))

        return update
