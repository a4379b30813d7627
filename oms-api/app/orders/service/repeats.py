"""Detect a repeated order: the same person sent the same order a short time ago."""

from datetime import datetime, timedelta
from decimal import Decimal

from app.orders.queries import book as queries
from app.orders.rules.values import Order, Status
from app.orders.service.batch_context import BatchContext

_SAME = (
    *("tenant_id", "portfolio_id", "actor", "symbol", "product", "side", "type", "quantity"),
    *("limit_price", "stop_price", "trail_amount", "trail_percent"),
)
_MAX_AHEAD = timedelta(seconds=5)  # an order further in the future was placed with a wrong clock
_PASSED_OVER = frozenset({Status.DENIED, Status.REJECTED})


def same_order_seconds(context: BatchContext, order: Order, within: Decimal) -> Decimal | None:
    """Return the age in seconds of the person's newest identical order.

    Return None if there is none within `within`. Denied and rejected orders do not count, because they were
    not sent. Replacements and child orders are not compared.
    """
    if order.actor is None or not within or order.replaces or order.parent_id:
        return None
    at = datetime.fromisoformat(order.created_at)
    since = at - timedelta(seconds=float(within))
    recent = [*queries.list_recent_orders(context.connection, order, since), *context.order_store.made]
    ages = [_age(one, at) for one in recent if _is_same(one, order) and not _is_ahead(one, at)]
    return min(ages, default=None)


def _is_same(one: Order, order: Order) -> bool:
    if one.id == order.id or one.status in _PASSED_OVER or one.replaces:
        return False
    return all(getattr(one, name) == getattr(order, name) for name in _SAME)


def _is_ahead(one: Order, at: datetime) -> bool:
    return datetime.fromisoformat(one.created_at) > at + _MAX_AHEAD


def _age(one: Order, at: datetime) -> Decimal:
    return Decimal(str(max((at - datetime.fromisoformat(one.created_at)).total_seconds(), 0.0)))
