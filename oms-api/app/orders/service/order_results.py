"""The results of commands on orders."""

from app.orders.rules.contingency import PARENTS
from app.orders.rules.order_views import OrderView
from app.orders.rules.values import Order
from app.orders.service.batch_context import BatchContext
from app.orders.service.command_results import OrderResult


def build_result(context: BatchContext, tenant_id: int, ids: list[str]) -> OrderResult:
    """Return the result with the current state of the orders and their child orders."""
    orders = []
    for order_id in ids:
        order = context.order_store.get(tenant_id, order_id)
        legs: list[Order] = []
        if order.role in PARENTS:
            legs = context.order_store.children_of(order)
        legs.sort(key=lambda one: one.id)
        orders.append(OrderView(order, context.portfolio(order).name, tuple(legs)))
    return OrderResult(tuple(orders))
