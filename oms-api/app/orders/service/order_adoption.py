"""Adopt an order that works at a portfolio's broker and that this service did not send."""

from app.orders.errors import NotAtBroker
from app.orders.rules.order_factory import PAPER, new_order
from app.orders.rules.values import Status
from app.orders.service.batch_context import BatchContext
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import AdoptOrder
from app.orders.service.order_results import build_result
from app.orders.service.placement import build_placement, store_order
from app.timestamps import format_timestamp

EXTERNAL = "external"  # the source of an adopted order


def adopt_order(context: BatchContext, command: AdoptOrder) -> OrderResult:
    """Store the order as accepted by its broker. An order that is adopted already does not change.

    It keeps the broker's id, so that the broker's events and its fills are those of the order. No risk check
    runs, because it works already; it counts from now on. Raises NoSuchPortfolio and NotAtBroker.
    """
    origin, ticket = command.origin, command.ticket
    tenant_id, at = origin.tenant_id, format_timestamp(origin.at)
    portfolio_key = context.get_portfolio_key(command)
    if context.order_store.find(tenant_id, command.order_id) is not None:
        return build_result(context, tenant_id, [command.order_id])
    placement = build_placement(context, origin, portfolio_key, ticket.symbol)._replace(source=EXTERNAL)
    if placement.broker == PAPER:
        raise NotAtBroker(command.portfolio_name)
    assert ticket.quantity is not None  # noqa: S101  # the broker's orders have one
    order = store_order(context, new_order(command.order_id, placement, ticket, ticket.quantity))
    sent = context.order_store.change_status(order, Status.SUBMITTED, at, order.placed_by)
    context.order_store.change_status(sent, Status.ACCEPTED, at, order.broker, accepted_at=at)
    return build_result(context, tenant_id, [order.id])
