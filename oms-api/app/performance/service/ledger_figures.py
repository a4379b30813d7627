"""Cache the figures of a portfolio's ledger that statistics need, until the ledger grows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import NamedTuple

from sqlalchemy import Connection

from app.database.versioned_cache import VersionedCache
from app.performance.queries import equity_curves as queries
from app.performance.queries.equity_curves import PortfolioTerms, TradedValue
from app.performance.rules.trip_statistics import ClosedTrip
from app.text import name_key

MAX_TRADES = 50_000  # of a portfolio whose round trips are counted
MAX_CACHED_ROWS = 200_000
# Returns the round trips of a portfolio (tenant id, name key) that closed.
TripReader = Callable[[Connection, int, str], Sequence[ClosedTrip]]


class _Figures(NamedTuple):
    trips: Sequence[ClosedTrip]
    traded: Sequence[TradedValue]


_NO_FIGURES = _Figures((), ())


class LedgerFigures:
    """The closed round trips and the traded values of portfolios. Thread-safe."""

    def __init__(self, read_trips: TripReader) -> None:
        self._read_trips = read_trips
        self._lock = Lock()
        self._cache: VersionedCache[tuple[int, int], _Figures] = VersionedCache(
            MAX_CACHED_ROWS, lambda figures: 1 + len(figures.trips) + len(figures.traded)
        )

    def list_trips(
        self,
        connection: Connection,
        tenant_id: int,
        portfolio: PortfolioTerms,
        start: datetime,
        end: datetime,
    ) -> list[Decimal] | None:
        """Return the net P&L of each round trip that closed in [start, end), None for too many trades."""
        if portfolio.last_sequence > MAX_TRADES:
            return None
        trips = self._read_figures(connection, tenant_id, portfolio).trips
        return [trip.net_pnl for trip in trips if start <= trip.closed_at < end]

    def list_traded_values(
        self,
        connection: Connection,
        tenant_id: int,
        portfolio: PortfolioTerms,
        start: datetime,
        end: datetime,
    ) -> list[Decimal]:
        """Return the values of the unreversed trades of (start, end], in the portfolio's currency."""
        if portfolio.last_sequence > MAX_TRADES:
            traded_values: Sequence[TradedValue] = queries.list_traded_values(
                connection, tenant_id, portfolio.id, start, end
            )
            return [traded_value.value for traded_value in traded_values]
        traded_values = self._read_figures(connection, tenant_id, portfolio).traded
        return [
            traded_value.value for traded_value in traded_values if start < traded_value.created_at <= end
        ]

    def _read_figures(self, connection: Connection, tenant_id: int, portfolio: PortfolioTerms) -> _Figures:
        if not portfolio.last_sequence:
            return _NO_FIGURES
        key, version = (tenant_id, portfolio.id), f"{portfolio.last_sequence} {portfolio.last_hash}"
        with self._lock:
            figures = self._cache.get(key, version)
        if figures is None:
            figures = _Figures(
                self._read_trips(connection, tenant_id, name_key(portfolio.name)),
                queries.list_traded_values(connection, tenant_id, portfolio.id),
            )
            with self._lock:
                self._cache.put(key, version, figures)
        return figures
