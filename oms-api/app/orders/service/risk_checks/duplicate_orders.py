"""Detect a repeated order: the same person sent the same order a short time ago."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.ledger.rules.keys import PortfolioNameKey
from app.orders.queries import book as queries
from app.orders.rules.values import Order, Status
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.batch.open_orders import RecentOrders
from app.orders.service.commands import Command, PlaceOrder

_SAME = (
    "tenant_id", "portfolio_id", "actor", "symbol", "product", "side", "type", "quantity",
    "limit_price", "stop_price", "trail_amount", "trail_percent",
)  # fmt: skip
_MAX_AHEAD = timedelta(seconds=5)  # an order further in the future was placed with a wrong clock
_MAX_SPREAD = timedelta(seconds=15)  # between the requests of a batch
_PASSED_OVER = frozenset({Status.DENIED, Status.REJECTED})


def same_order_seconds(context: BatchContext, order: Order, within: Decimal) -> Decimal | None:
    """Return the age in seconds of the person's newest identical order.

    Return None if there is none within `within`. Denied and rejected orders do not count, because they were
    not sent. Replacements and child orders are not compared.
    """
    if order.actor is None or not within or order.replaces or order.parent_id:
        return None
    at = datetime.fromisoformat(order.created_at)
    recent = _list_recent_orders(context, order, order.actor, timedelta(seconds=float(within)))
    ages = [_age(one, at) for one in recent if _is_same(one, order) and not _is_ahead(one, at)]
    return min(ages, default=None)


def plan_repeat_checks(context: BatchContext, commands: Sequence[Command]) -> None:
    """Note what the first check reads for all orders of the batch: see `same_order_seconds`."""
    for command in commands:
        if isinstance(command, PlaceOrder) and command.origin.actor is not None:
            tenant_id, symbol, actor = command.origin.tenant_id, command.ticket.symbol, command.origin.actor
            name = PortfolioNameKey(tenant_id, command.portfolio_name_key)
            portfolio_id = context.ledger.portfolio_ids.get(name)
            if portfolio_id is not None:
                context.repeat_keys.add(queries.RepeatKey(tenant_id, symbol, portfolio_id, actor))


def _list_recent_orders(context: BatchContext, order: Order, actor: str, within: timedelta) -> list[Order]:
    """Return at least the person's orders within that time. One statement reads those of the whole batch."""
    known = context.recent_orders
    key = queries.RepeatKey(order.tenant_id, order.symbol, order.portfolio_id, actor)
    since = datetime.fromisoformat(order.created_at) - within
    if key not in known or known[key].since > since:
        keys = {key, *(context.repeat_keys - known.keys())}
        found = {one: RecentOrders(since - _MAX_SPREAD) for one in keys}
        for one in queries.list_recent_orders(context.connection, sorted(keys), since - _MAX_SPREAD):
            repeat_key = queries.RepeatKey(one.tenant_id, one.symbol, one.portfolio_id, one.actor or "")
            found[repeat_key].orders.append(one)
        known.update(found)
    return [*known[key].orders, *context.order_store.created]


def _is_same(one: Order, order: Order) -> bool:
    if one.id == order.id or one.status in _PASSED_OVER or one.replaces:
        return False
    return all(getattr(one, name) == getattr(order, name) for name in _SAME)


def _is_ahead(one: Order, at: datetime) -> bool:
    return datetime.fromisoformat(one.created_at) > at + _MAX_AHEAD


def _age(one: Order, at: datetime) -> Decimal:
    return Decimal(str(max((at - datetime.fromisoformat(one.created_at)).total_seconds(), 0.0)))
