"""Values of cancellations: requests to cancel the orders of several portfolios."""

from typing import NamedTuple

from app.orders.rules.values import Order
from app.timestamps import Timestamp


class CancellationFilter(NamedTuple):
    """The filter of orders to cancel; None matches all."""

    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None

    def matches(self, order: Order) -> bool:
        """Return whether the order has all values that are given."""
        values = (order.symbol, order.side, order.strategy)
        return all(filter_value in (None, value) for filter_value, value in zip(self, values, strict=True))


class StoredCancellation(NamedTuple):
    """A cancellation as it is stored. `created_at` is canonical; later orders are not canceled."""

    tenant_id: int
    id: str
    idempotency_key: str | None
    request_hash: str | None
    source: str
    actor: str | None
    request_id: str | None
    symbol: str | None
    side: str | None
    strategy: str | None
    reason: str | None
    created_at: Timestamp

    @property
    def filter(self) -> CancellationFilter:
        """The filter of orders to cancel."""
        return CancellationFilter(self.symbol, self.side, self.strategy)
