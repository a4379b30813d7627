"""Release orders at the open of the session that they waited for, or when their broker is connected."""

from app.orders.rules.trading_sessions import waits_for_session
from app.orders.rules.values import WORKING_STATUSES, Order, Role, Status
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.broker.broker_orders import find_broker_hold_reason
from app.orders.service.broker.pair_swaps import sort_pairs, waits_for_quote
from app.orders.service.changes.order_changes import expire_orders
from app.orders.service.command_results import NO_ORDERS, OrderResult
from app.orders.service.contingent_orders.groups import (
    GROUPS,
    cancel_open_orders,
    cancel_order,
    get_closable_quantity,
    release_order,
)
from app.orders.service.execution.matching import match_new_order
from app.orders.service.internal_commands import ReleaseOrders
from app.orders.service.risk_checks.trading_sessions import find_order_hold
from app.timestamps import Timestamp


def release_orders(context: BatchContext, command: ReleaseOrders) -> OrderResult:
    """Release the held orders of the symbols whose session is open. The risk checks run again.

    Orders whose time has ended expire first.
    """
    portfolio_keys = context.loaded.list_portfolios(command.tenant_id, *command.symbols)
    expire_orders(context, portfolio_keys, command.at)
    for portfolio_key in portfolio_keys:
        for symbol in command.symbols:
            open_orders = context.order_store.list_open_orders_of_symbol(portfolio_key, symbol)
            for stale_order in sort_pairs(context, open_orders):
                _release_if_due(context, context.order_store.get_current(stale_order), command.at)
    return NO_ORDERS


def _release_if_due(context: BatchContext, order: Order, at: Timestamp) -> None:
    if not waits_for_session(order) or waits_for_quote(context, order):
        return
    if find_order_hold(context, order, at) is not None:
        return
    if find_broker_hold_reason(context, order) is not None:
        return
    if order.role is Role.CLOSING:
        _release_closing_order(context, order, at)
        return
    released_order = release_order(context, order, at)
    if released_order.status in WORKING_STATUSES:
        match_new_order(context, released_order, at)
    elif released_order.status is Status.DENIED and order.role is Role.EITHER:
        orders = context.order_store.list_open_orders_of_symbol(order.portfolio_key, order.symbol)
        siblings = [sibling for sibling in orders if sibling.group_id == order.group_id]
        cancel_open_orders(context, siblings, at, GROUPS, reason=f"{order.id} was denied")


def _release_closing_order(context: BatchContext, order: Order, at: Timestamp) -> None:
    """Release a closing order for at most what is left of the position."""
    closable_quantity = get_closable_quantity(context, order)
    if not closable_quantity:
        cancel_order(context, order, at, GROUPS, reason="The position is closed.")
        return
    match_new_order(
        context, release_order(context, order, at, quantity=min(order.quantity, closable_quantity)), at
    )
