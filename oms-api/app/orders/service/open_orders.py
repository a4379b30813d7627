"""The open orders of portfolios, and the cache of them between batches."""

from dataclasses import dataclass, field

from app.database.versioned_cache import VersionedCache
from app.orders.queries.book import PortfolioKey
from app.orders.rules.values import FINAL, Order

MAX_CACHED_ORDERS = 200_000
NEVER = "9999"  # later than any instant, as text


@dataclass(slots=True)
class OpenOrders:
    """The open orders of a portfolio by id and by symbol, true for the stamp that its row bears.

    None of them ends before `first_end`: who looks for what is over need not look at each of them.
    """

    stamp: str
    orders: dict[str, Order] = field(default_factory=dict)
    by_symbol: dict[str, dict[str, None]] = field(default_factory=dict)
    first_end: str = NEVER

    def copied(self) -> "OpenOrders":
        """Return the same, to be changed by itself."""
        by_symbol = {symbol: dict(ids) for symbol, ids in self.by_symbol.items()}
        return OpenOrders(self.stamp, dict(self.orders), by_symbol, self.first_end)

    def put(self, order: Order) -> None:
        """Take the order in as it stands now; what is over goes."""
        if order.status not in FINAL:
            self.orders[order.id] = order
            self.by_symbol.setdefault(order.symbol, {})[order.id] = None
            self.first_end = min(self.first_end, order.ends_at or NEVER)
        elif self.orders.pop(order.id, None) is not None:
            self.by_symbol[order.symbol].pop(order.id)

    def overdue(self, at: str) -> list[Order]:
        """Return the orders whose end has come by `at`, canonical text, oldest first."""
        if self.first_end > at:
            return []
        overdue = [order for order in self.orders.values() if order.ends_at and order.ends_at <= at]
        if not overdue:  # those that were to end first have gone
            self.first_end = min((order.ends_at or NEVER for order in self.orders.values()), default=NEVER)
        return overdue


def open_order_cache() -> VersionedCache[PortfolioKey, OpenOrders]:
    """Return a cache of the open orders of portfolios; its versions are the stamps of their rows."""
    return VersionedCache(MAX_CACHED_ORDERS, lambda known: len(known.orders) or 1)
