"""Expire orders: at their end time, or because they were not approved in time."""

from itertools import chain, islice

from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import CommandOrigin
from app.orders.rules.broker_requests import is_at_broker
from app.orders.rules.values import (
    FINAL_STATUSES,
    Order,
    Status,
    TimeInForce,
)
from app.orders.service.approval.approval_decisions import expire_request
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.contingent_orders.groups import (
    finalize_order,
)
from app.orders.service.execution.matching import match_at_close
from app.timestamps import Timestamp, format_timestamp


def expire_orders(
    context: BatchContext, portfolio_keys: list[PortfolioKey], at: Timestamp, limit: int | None = None
) -> None:
    """Expire the orders of the portfolios that are due, at most `limit`."""
    overdue = chain.from_iterable(
        context.order_store.open_orders[key].list_overdue(at) for key in portfolio_keys
    )
    for stale_order in islice(overdue, limit):
        expire_if_due(context, context.order_store.get_current(stale_order), at)


def expire_order(context: BatchContext, origin: CommandOrigin, order_id: str) -> None:
    """Expire an order that the caller may see, if it is due."""
    order = context.order_store.find(origin.tenant_id, order_id)
    if order is not None and context.can_see(origin, order.portfolio_key):
        expire_if_due(context, order, format_timestamp(origin.at))


def expire_if_due(context: BatchContext, order: Order, at: Timestamp) -> Order:
    """Return the order, expired if it is due at `at`, or if it was not approved in time."""
    if order.status is Status.AWAITING_APPROVAL:
        order = expire_request(context, order, at)
    if order.status in FINAL_STATUSES or order.ends_at is None or order.ends_at > at:
        return order
    if is_at_broker(order):
        return order  # the broker expires it, and reports that
    if order.time_in_force is TimeInForce.CLS:
        match_at_close(context, order, at)
        order = context.order_store.get_current(order)
        if order.status in FINAL_STATUSES:
            return order
    return finalize_order(context, order, Status.EXPIRED, at, "calendar")
