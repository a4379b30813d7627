"""Keep the exits and closing orders of a position within its quantity."""

from collections.abc import Sequence
from decimal import Decimal

from app.ledger.rules.chain import TradeRow
from app.money import ZERO, format_plain_amount
from app.orders.rules.broker_requests import is_at_broker
from app.orders.rules.contingency import (
    EXIT_ROLES,
    OCO_ROLES,
    Reduction,
    can_only_close,
    compute_exit_quantity,
    find_reduction,
    list_siblings,
    plan_reductions,
)
from app.orders.rules.values import FINAL_STATUSES, WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.broker.order_pairs import RESIZED, is_held_at_broker, was_sent_with_entry
from app.orders.service.contingent_orders.groups import (
    GROUP_ACTOR,
    cancel_open_orders,
    cancel_order,
    get_closable_quantity,
)
from app.orders.service.risk_checks.risk_evaluation import find_limits
from app.risk.rules.checks.short_selling import can_go_short
from app.risk.rules.values import TradingState
from app.timestamps import Timestamp


def trim_to_position(context: BatchContext, stale_order: Order, at: Timestamp) -> Order:
    """Return a closing order, or an exit about to fill, reduced to the remaining position.

    Another close or a reported trade may have reduced the position meanwhile. If nothing is left, the order
    is canceled.
    """
    return _trim_order(
        context, context.order_store.get_current(stale_order), get_closable_quantity(context, stale_order), at
    )


def trim_accepted_exit(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Reduce an exit that its broker works to the quantity that its ended entry filled.

    Other entries may have opened the remaining position. The exits of these entries protect it.
    """
    entry = context.order_store.find_parent(order)
    if entry is not None and entry.status in FINAL_STATUSES and entry.filled_quantity:
        quantity = compute_exit_quantity(entry, context.order_store.list_children(entry))
        _trim_order(context, order, max(min(quantity, get_closable_quantity(context, order)), ZERO), at)


def trim_accepted_exits_of_entry(context: BatchContext, entry: Order, at: Timestamp) -> None:
    """Reduce the exits of an ended entry whose acceptance was reported before the end of the entry."""
    for stale_order in context.order_store.list_children(entry):
        order = context.order_store.get_current(stale_order)
        if (
            order.status in WORKING_STATUSES
            and order.accepted_at is not None
            and was_sent_with_entry(context, order)
        ):
            trim_accepted_exit(context, order, at)


def _trim_order(context: BatchContext, order: Order, closable_quantity: Decimal, at: Timestamp) -> Order:
    if order.status not in WORKING_STATUSES or order.leaves_quantity <= closable_quantity:
        return order
    if not closable_quantity:
        return cancel_order(context, order, at, GROUP_ACTOR, reason="The position is closed.")
    return _reduce_order(context, order, closable_quantity, at)


def reduce_competing_orders(
    context: BatchContext, row: TradeRow, at: Timestamp, order: Order | None = None
) -> None:
    """Reduce the other orders that close a position to the quantity after a trade.

    Exits are reduced after any trade that reduces the position, closing orders after an exit's fill. `order`
    is the order that filled, None for a reported or reversed trade. Orders without a quantity left are
    canceled.
    """
    reduction = find_reduction(Decimal(row.position_quantity), Decimal(row.quantity_delta))
    if reduction is None:
        return
    position_orders = [
        order
        for order in context.order_store.list_open_orders_of_symbol(row.portfolio_key, row.symbol)
        if (order.side, order.product) == (reduction.side, row.product)
    ]
    if not position_orders:
        return
    cause = row.trade_id if order is None else order.id
    exits = [
        position_order for position_order in position_orders if _is_exit(position_order, reduction, order)
    ]
    _reduce_all(context, exits, reduction.remaining, at, cause)
    other_orders = _list_other_orders(context, reduction, position_orders, order)
    _reduce_all(context, other_orders, reduction.remaining, at, cause)
    if reduction.remaining:
        return
    for exit_order in exits:
        if exit_order.status is Status.HELD:
            _cancel_held(context, exit_order, at, cause)


def _is_exit(candidate: Order, reduction: Reduction, filled_order: Order | None) -> bool:
    """Return whether an order is reduced as an exit.

    After a close, OCO orders of any size are reduced too.
    """
    position_quantity = reduction.previous if candidate.side == "SELL" else -reduction.previous
    is_close = filled_order is not None and filled_order.role is Role.CLOSING
    return can_only_close(candidate, position_quantity) or (is_close and candidate.role in OCO_ROLES)


def _list_other_orders(
    context: BatchContext, reduction: Reduction, position_orders: list[Order], filled_order: Order | None
) -> list[Order]:
    """Return the orders that an exit's fill reduces.

    These are closing orders, and orders that may not reverse the position. After other fills a closing order
    is reduced only when it is about to fill: see `trim_to_position`.
    """
    if filled_order is None or filled_order.role is Role.CLOSING:
        return []
    if not _is_exit(filled_order, reduction, filled_order):
        return []
    other_orders = [
        position_order
        for position_order in position_orders
        if not _is_exit(position_order, reduction, filled_order)
    ]
    return [
        position_order
        for position_order in other_orders
        if position_order.role is Role.CLOSING or not _can_open(context, position_order)
    ]


def _can_open(context: BatchContext, order: Order) -> bool:
    """Return whether an order may reverse the position, given the trading state and short selling limits."""
    if context.get_trading_state(order).state is not TradingState.ACTIVE:
        return False
    return order.side == "BUY" or can_go_short(find_limits(context, order), order.product)


def _reduce_all(
    context: BatchContext, orders: list[Order], closable_quantity: Decimal, at: Timestamp, cause: str
) -> None:
    for stale_order, kept_quantity in plan_reductions(_sort_by_need(context, orders), closable_quantity):
        # Canceling another order may have canceled this one.
        order = context.order_store.get_current(stale_order)
        if order.status in FINAL_STATUSES:
            continue
        if kept_quantity:
            _reduce_order(context, order, kept_quantity, at)
        else:
            _cancel_with_entry(context, order, at, cause)


def _reduce_order(context: BatchContext, order: Order, kept_quantity: Decimal, at: Timestamp) -> Order:
    size = order.filled_quantity + kept_quantity
    reason = f"Quantity reduced to {format_plain_amount(size)}"
    if is_at_broker(order):
        return _resize_at_broker(context, order, size, at, reason)
    return context.order_store.record_change(order, at, GROUP_ACTOR, quantity=size, reason=reason)


def _resize_at_broker(
    context: BatchContext, order: Order, size: Decimal, at: Timestamp, reason: str
) -> Order:
    """Reduce an order at a broker by a cancel.

    After the confirmation, its unfilled quantity is sent again.
    """
    for sibling in list_siblings(
        order, context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
    ):
        if sibling.status is Status.HELD and not is_held_at_broker(context, sibling):
            reduced_quantity = sibling.filled_quantity + size - order.filled_quantity
            context.order_store.record_change(
                sibling, at, GROUP_ACTOR, quantity=reduced_quantity, reason=reason
            )
    resized = context.order_store.record_change(order, at, GROUP_ACTOR, quantity=size, reason=reason)
    return cancel_order(context, resized, at, GROUP_ACTOR, reason=RESIZED)


def _sort_by_need(context: BatchContext, orders: Sequence[Order]) -> list[Order]:
    """Return the working orders, sorted by group and age. Orders without an open entry come first."""
    working_orders = [order for order in orders if order.status in WORKING_STATUSES]
    return sorted(
        working_orders,
        key=lambda order: (_find_open_entry(context, order) is not None, order.group_id or "", order.id),
    )


def _cancel_with_entry(context: BatchContext, order: Order, at: Timestamp, cause: str) -> None:
    """Cancel an order and its open entry, which would continue without its exits."""
    entry = context.order_store.find_parent(order)
    orders = [order] if entry is None else [entry, order]
    cancel_open_orders(context, orders, at, GROUP_ACTOR, reason=f"{cause} closed the position")


def _cancel_held(context: BatchContext, order: Order, at: Timestamp, cause: str) -> None:
    """Cancel an exit that is held though its entry has filled: it could be released later.

    A kill switch may keep it held, or its sibling works at the broker.
    """
    entry = context.order_store.find_parent(order)
    if order.role in EXIT_ROLES and (entry is None or entry.filled_quantity):
        _cancel_with_entry(context, context.order_store.get_current(order), at, cause)


def _find_open_entry(context: BatchContext, order: Order) -> Order | None:
    entry = context.order_store.find_parent(order)
    return entry if entry is not None and entry.status not in FINAL_STATUSES else None
