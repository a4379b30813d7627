"""Cancel an order, or all open orders of a portfolio that match."""

from app.ledger.rules.keys import PortfolioKey
from app.orders.errors import OrderIsFinal
from app.orders.queries.cancellations import build_part_update, find_canceled_order_ids
from app.orders.rules.cancellations import CancellationFilter
from app.orders.rules.values import (
    FINAL_STATUSES,
)
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.order_records import (
    build_result,
    find_repeated_change,
)
from app.orders.service.changes.order_expiry import expire_if_due
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import CancelAll, CancelInPortfolio, CancelOrder, get_actor
from app.orders.service.contingent_orders.groups import (
    cancel_open_orders,
    cancel_order,
)
from app.orders.service.contingent_orders.halts import list_opening_orders
from app.orders.service.risk_checks.risk_evaluation import count_order_message
from app.timestamps import format_timestamp


def cancel_requested_order(context: BatchContext, command: CancelOrder) -> OrderResult:
    """Cancel an order; earlier fills are kept. Raises NoSuchOrder or OrderIsFinal."""
    origin = command.origin
    order = expire_if_due(
        context, context.get_visible_order(origin, command.order_id), format_timestamp(origin.at)
    )
    key = origin.idempotency_key
    if order.status in FINAL_STATUSES:
        repeated = find_repeated_change(context, origin, order)
        if repeated is None:
            raise OrderIsFinal(order.id, order.status)
        return repeated
    count_order_message(context, origin, order)
    cancel_order(
        context, order, format_timestamp(origin.at), get_actor(origin), reason=command.reason, request_key=key
    )
    return build_result(context, order.tenant_id, [order.id])


def cancel_all(context: BatchContext, command: CancelAll) -> OrderResult:
    """Cancel all open orders of the portfolio that match. Raises NoSuchPortfolio."""
    origin = command.origin
    portfolio_key = context.get_portfolio_key(command)
    filter_ = CancellationFilter(command.symbol, command.side, command.strategy)
    orders = (
        list_opening_orders(context, portfolio_key)
        if command.keeps_exits
        else context.order_store.list_open_orders(portfolio_key)
    )
    matching_orders = [order for order in orders if filter_.matches(order)]
    ids = cancel_open_orders(
        context, matching_orders, format_timestamp(origin.at), get_actor(origin), reason=command.reason
    )
    return build_result(context, origin.tenant_id, sorted(ids))


def load_canceled_orders(context: BatchContext, command: CancelInPortfolio) -> list[str] | None:
    """Load the ids of the orders that a cancellation canceled in a portfolio, None if it is not done there.

    Another process may have done it meanwhile.
    """
    key = command.cancellation.id, PortfolioKey(command.origin.tenant_id, command.portfolio_id)
    loaded = context.loaded.canceled_orders
    if key not in loaded:
        loaded[key] = find_canceled_order_ids(context.connection, *key)
    return loaded[key]


def cancel_in_portfolio(context: BatchContext, command: CancelInPortfolio) -> OrderResult:
    """Cancel the orders of a cancellation in one portfolio, unless this is done. Return their state."""
    origin, cancellation = command.origin, command.cancellation
    portfolio_key = PortfolioKey(origin.tenant_id, command.portfolio_id)
    ids = load_canceled_orders(context, command)
    if ids is None:
        matching_orders = [
            order
            for order in context.order_store.list_open_orders(portfolio_key)
            if cancellation.filter.matches(order) and order.created_at <= cancellation.created_at
        ]
        at, actor = format_timestamp(origin.at), get_actor(origin)
        ids = sorted(cancel_open_orders(context, matching_orders, at, actor, reason=cancellation.reason))
        context.extra_writes.append(build_part_update(cancellation.id, portfolio_key, ids))
        context.loaded.canceled_orders[cancellation.id, portfolio_key] = ids
    return build_result(context, origin.tenant_id, ids)
