"""The open orders of a portfolio, and the recent orders of a person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from app.ledger.rules.keys import SymbolProductKey
from app.orders.rules.values import FINAL_STATUSES, Order
from app.timestamps import Timestamp

NEVER = "9999"  # later than any instant, as text


@dataclass(slots=True)
class PortfolioOpenOrders:
    """The open orders of a portfolio by id and by symbol.

    `version` is the version of the open orders in the portfolio's row when they were read. `row_versions` are
    the versions of the orders' rows, by order id, if they are known. No order expires before
    `earliest_ends_at`, so that a search for expired orders can stop early.
    """

    version: str = ""
    orders: dict[str, Order] = field(default_factory=dict)
    by_symbol: dict[str, dict[str, None]] = field(default_factory=dict)
    row_versions: dict[str, str] = field(default_factory=dict)
    earliest_ends_at: str = NEVER

    def copy(self) -> "PortfolioOpenOrders":
        """Return a copy that can change independently."""
        by_symbol = {symbol: dict(ids) for symbol, ids in self.by_symbol.items() if ids}
        return PortfolioOpenOrders(
            self.version, dict(self.orders), by_symbol, dict(self.row_versions), self.earliest_ends_at
        )

    def put(self, order: Order) -> None:
        """Add or update the order; remove it if it is final."""
        if self.row_versions:
            self.row_versions.pop(order.id, None)
        if order.status not in FINAL_STATUSES:
            self.orders[order.id] = order
            self.by_symbol.setdefault(order.symbol, {})[order.id] = None
            if order.ends_at is not None and order.ends_at < self.earliest_ends_at:
                self.earliest_ends_at = order.ends_at
        elif self.orders.pop(order.id, None) is not None:
            self.by_symbol[order.symbol].pop(order.id)

    def remove_missing(self, stored: Mapping[str, object]) -> set[SymbolProductKey]:
        """Remove the orders whose ids are not in `stored`. Return their positions."""
        missing = [order for order_id, order in self.orders.items() if order_id not in stored]
        for order in missing:
            del self.orders[order.id]
            self.by_symbol[order.symbol].pop(order.id)
            self.row_versions.pop(order.id, None)
        return {order.symbol_product_key for order in missing}

    def list_outdated(self, stored: Mapping[str, str | None]) -> list[str]:
        """Return the ids of the open orders whose stored rows may differ from the cached ones.

        `stored` has the versions of the stored rows by order id. A row without a version may differ.
        """
        cached_versions = self.row_versions
        return [
            order_id
            for order_id, version in stored.items()
            if not version or cached_versions.get(order_id) != version
        ]

    def update(self, orders: Iterable[Order], stored: Mapping[str, str | None]) -> set[SymbolProductKey]:
        """Put orders that were read. Return their positions. `stored` has their row versions by id."""
        is_sorted = True
        changed = set()
        for order in sorted(orders, key=lambda order: order.id):
            is_sorted = is_sorted and (order.id in self.orders or order.id > next(reversed(self.orders), ""))
            self.put(order)
            self.set_row_version(order.id, stored[order.id])
            changed.add(order.symbol_product_key)
        if not is_sorted:
            orders_by_age = dict(sorted(self.orders.items()))
            self.orders, self.by_symbol = orders_by_age, {}
            for order in orders_by_age.values():
                self.by_symbol.setdefault(order.symbol, {})[order.id] = None
        return changed

    def set_row_version(self, order_id: str, version: str | None) -> None:
        """Set the version of an open order's row. Ignore None and orders that are not open."""
        if version is not None and order_id in self.orders:
            self.row_versions[order_id] = version

    def list_overdue(self, at: Timestamp) -> list[Order]:
        """Return the orders that expire at `at` (canonical text) or before, oldest first."""
        if self.earliest_ends_at > at:
            return []
        overdue = [order for order in self.orders.values() if order.ends_at and order.ends_at <= at]
        if not overdue:  # the orders that expire first are no longer open
            self.earliest_ends_at = min(
                (order.ends_at or NEVER for order in self.orders.values()), default=NEVER
            )
        return overdue


@dataclass(frozen=True, slots=True)
class RecentOrders:
    """Stored orders placed at `since` or later, to detect a repeated one: see `duplicate_orders`."""

    since: datetime
    orders: list[Order] = field(default_factory=list)
