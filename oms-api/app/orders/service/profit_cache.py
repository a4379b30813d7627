"""Keep the P&L of the day of tenants between batches."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.database.versioned_cache import VersionedCache

MAX_TENANTS = 5_000


class CachedProfits(NamedTuple):
    """The P&L of the day of a tenant's portfolios by their currency, and when it was computed."""

    profits: dict[str, Decimal]
    read_at: datetime


ProfitCache = VersionedCache[int, CachedProfits]  # by tenant id


def create_profit_cache() -> ProfitCache:
    """Return an empty cache."""
    return VersionedCache(MAX_TENANTS)
