"""Detect a repeated order: the same person sent the same order a short time ago."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from app.ledger.rules.keys import PortfolioNameKey
from app.orders.queries.orders import RepeatKey, list_recent_orders
from app.orders.rules.values import Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.open_orders import RecentOrders
from app.orders.service.commands import PlaceGroup, PlaceOrder, PreviewOrder, WriterCommand, list_tickets

_COMPARED_FIELDS = (
    "tenant_id", "portfolio_id", "actor", "symbol", "product", "side", "type", "quantity",
    "limit_price", "stop_price", "trail_amount", "trail_percent",
)  # fmt: skip
_MAX_CLOCK_SKEW = timedelta(seconds=5)  # an order further in the future was placed with a wrong clock
_COMPARED_COMMANDS = (PlaceOrder, PlaceGroup, PreviewOrder)
_UNSENT_STATUSES = frozenset({Status.DENIED, Status.REJECTED})


def get_seconds_since_same_order(context: BatchContext, order: Order, within: Decimal) -> Decimal | None:
    """Return the age in seconds of the person's newest identical order.

    Return None if there is none within `within`. Denied and rejected orders do not count, because they were
    not sent. Replacements, child orders and closing orders are not compared.
    """
    if order.actor is None or not within or order.replaces or order.parent_id or order.role is Role.CLOSING:
        return None
    at = datetime.fromisoformat(order.created_at)
    recent = _list_recent_orders(context, order, order.actor, timedelta(seconds=float(within)))
    ages = [
        _compute_age(recent_order, at)
        for recent_order in recent
        if _is_same(recent_order, order) and not _is_ahead(recent_order, at)
    ]
    return min(ages, default=None)


def load_recent_orders(
    context: BatchContext, commands: Sequence[WriterCommand], held_orders: Iterable[Order] = ()
) -> None:
    """Load, by one statement, the orders with which new and held orders of people are compared."""
    placed_at: dict[RepeatKey, datetime] = {}
    for command in commands:
        if isinstance(command, _COMPARED_COMMANDS) and command.origin.actor is not None:
            origin, actor = command.origin, command.origin.actor
            portfolio_id = context.ledger.portfolio_ids.get(
                PortfolioNameKey(origin.tenant_id, command.portfolio_name_key)
            )
            for ticket in list_tickets(command) if portfolio_id is not None else ():
                key = RepeatKey(origin.tenant_id, ticket.symbol, portfolio_id or 0, actor)
                placed_at[key] = min(origin.at, placed_at.get(key, origin.at))
    for order in held_orders:
        if order.actor is not None:
            key, at = _build_key(order, order.actor), datetime.fromisoformat(order.created_at)
            placed_at[key] = min(at, placed_at.get(key, at))
    if placed_at:
        _read_recent_orders(context, placed_at)


def _read_recent_orders(context: BatchContext, placed_at: Mapping[RepeatKey, datetime]) -> None:
    get_seconds = context.services.controls.get_max_repeat_seconds
    seconds = {key: float(get_seconds(key.tenant_id)) for key in placed_at}
    compared = sorted(key for key in placed_at if seconds[key])
    if not compared:
        return
    since = min(placed_at[key] - timedelta(seconds=seconds[key]) for key in compared)
    loaded = context.loaded.recent_orders
    loaded.update((key, RecentOrders(since)) for key in compared)
    for order in list_recent_orders(context.connection, compared, since):
        loaded[_build_key(order, order.actor or "")].orders.append(order)


def _build_key(order: Order, actor: str) -> RepeatKey:
    return RepeatKey(order.tenant_id, order.symbol, order.portfolio_id, actor)


def _list_recent_orders(context: BatchContext, order: Order, actor: str, within: timedelta) -> list[Order]:
    """Return at least the person's orders within that time before the order."""
    key, placed_at = _build_key(order, actor), datetime.fromisoformat(order.created_at)
    recent_orders = context.loaded.recent_orders.get(key)
    if recent_orders is None or recent_orders.since > placed_at - within:
        _read_recent_orders(context, {key: placed_at})
    return [*context.loaded.recent_orders[key].orders, *context.order_store.created]


def _is_same(recent_order: Order, order: Order) -> bool:
    if recent_order.id == order.id or recent_order.status in _UNSENT_STATUSES or recent_order.replaces:
        return False
    return all(getattr(recent_order, name) == getattr(order, name) for name in _COMPARED_FIELDS)


def _is_ahead(order: Order, at: datetime) -> bool:
    return datetime.fromisoformat(order.created_at) > at + _MAX_CLOCK_SKEW


def _compute_age(order: Order, at: datetime) -> Decimal:
    return Decimal(str(max((at - datetime.fromisoformat(order.created_at)).total_seconds(), 0.0)))
