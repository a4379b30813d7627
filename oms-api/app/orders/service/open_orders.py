"""The open orders of portfolios and the cache that keeps them between batches; recent orders of persons."""

from dataclasses import dataclass, field
from datetime import datetime

from app.database.versioned_cache import VersionedCache
from app.ledger.rules.keys import PortfolioKey
from app.orders.rules.values import FINAL, Order
from app.timestamps import Timestamp

MAX_CACHED_ORDERS = 200_000
NEVER = "9999"  # later than any instant, as text


@dataclass(slots=True)
class OpenOrders:
    """The open orders of a portfolio by id and by symbol.

    `stamp` is the stamp of the portfolio's row that they belong to. No order expires before `first_end`, so
    that a search for expired orders can stop early.
    """

    stamp: str
    orders: dict[str, Order] = field(default_factory=dict)
    by_symbol: dict[str, dict[str, None]] = field(default_factory=dict)
    first_end: str = NEVER

    def copied(self) -> "OpenOrders":
        """Return a copy that can change independently."""
        by_symbol = {symbol: dict(ids) for symbol, ids in self.by_symbol.items()}
        return OpenOrders(self.stamp, dict(self.orders), by_symbol, self.first_end)

    def put(self, order: Order) -> None:
        """Add or update the order; remove it if it is final."""
        if order.status not in FINAL:
            self.orders[order.id] = order
            self.by_symbol.setdefault(order.symbol, {})[order.id] = None
            self.first_end = min(self.first_end, order.ends_at or NEVER)
        elif self.orders.pop(order.id, None) is not None:
            self.by_symbol[order.symbol].pop(order.id)

    def overdue(self, at: Timestamp) -> list[Order]:
        """Return the orders that expire at `at` (canonical text) or before, oldest first."""
        if self.first_end > at:
            return []
        overdue = [order for order in self.orders.values() if order.ends_at and order.ends_at <= at]
        if not overdue:  # the orders that expire first are no longer open
            self.first_end = min((order.ends_at or NEVER for order in self.orders.values()), default=NEVER)
        return overdue


@dataclass(frozen=True, slots=True)
class RecentOrders:
    """Stored orders placed at `since` or later, to detect a repeated one: see `repeats`."""

    since: datetime
    orders: list[Order] = field(default_factory=list)


def open_order_cache() -> VersionedCache[PortfolioKey, OpenOrders]:
    """Return a cache of the open orders of portfolios. Its versions are the stamps of their rows."""
    return VersionedCache(MAX_CACHED_ORDERS, lambda known: len(known.orders) or 1)
