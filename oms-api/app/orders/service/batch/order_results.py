"""The results of commands on orders, and those of earlier requests with the same key or client order id."""

from app.ledger.service.commands import Origin
from app.orders.errors import ClientOrderIdReused, OrderKeyReused
from app.orders.rules.contingency import PARENT_ROLES
from app.orders.rules.order_views import OrderView
from app.orders.rules.values import GroupKind, Order
from app.orders.service.batch.batch_context import BatchContext
from app.orders.service.batch.order_records import list_history
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import PlaceGroup, PlaceOrder


def build_result(context: BatchContext, tenant_id: int, ids: list[str]) -> OrderResult:
    """Return the result with the current state of the orders and their child orders."""
    orders = []
    for order_id in ids:
        order = context.order_store.get(tenant_id, order_id)
        legs: list[Order] = []
        if order.role in PARENT_ROLES:
            legs = context.order_store.list_children(order)
        legs.sort(key=lambda order: order.id)
        orders.append(OrderView(order, context.get_portfolio(order).name, tuple(legs)))
    return OrderResult(tuple(orders))


def find_repeated_placement(context: BatchContext, command: PlaceOrder | PlaceGroup) -> OrderResult | None:
    """Return the earlier outcome of the same request, None if it is new; see `find_repeated_request`."""
    tickets = command.tickets if isinstance(command, PlaceGroup) else (command.ticket,)
    return find_repeated_request(context, command.origin, *(ticket.client_order_id for ticket in tickets))


def find_repeated_request(
    context: BatchContext, origin: Origin, *client_order_ids: str | None
) -> OrderResult | None:
    """Return the earlier outcome of the same request, None if it is new.

    Raises ClientOrderIdReused or OrderKeyReused if the id or key identifies another request. Orders that the
    caller may not see do not count.
    """
    earlier = _find_visible_order(context, origin, origin.idempotency_key or "")
    if earlier is not None and earlier.request_hash != origin.request_hash:
        raise OrderKeyReused((earlier.idempotency_key or "").partition(":")[2])
    for name in client_order_ids:
        order = _find_visible_order(context, origin, f"/{name}") if name else None
        if order is not None and order.request_hash != origin.request_hash:
            raise ClientOrderIdReused(name or "")
        earlier = earlier or order
    if earlier is None:
        return None
    return build_result(context, earlier.tenant_id, _list_ids_of_request(context, earlier))._replace(
        replayed=True
    )


def find_repeated_change(context: BatchContext, origin: Origin, order: Order) -> OrderResult | None:
    """Return the order if it was changed under the request's idempotency key, else None."""
    key = origin.idempotency_key
    if not key or all(event.request_key != key for event in list_history(context, order)):
        return None
    return build_result(context, order.tenant_id, [order.id])._replace(replayed=True)


def _find_visible_order(context: BatchContext, origin: Origin, name: str) -> Order | None:
    """Return the oldest order with a key or client order id, that of the same request if there is one."""
    orders = context.loaded.orders_by_request_key.get((origin.tenant_id, name), [])
    if not orders:
        return None
    visible = [order for order in orders if context.sees(origin, order.portfolio_key)]
    orders_of_request = [order for order in visible if order.request_hash == origin.request_hash]
    return min(
        orders_of_request or visible, key=lambda order: order.id, default=None
    )  # ids increase with time


def _list_ids_of_request(context: BatchContext, order: Order) -> list[str]:
    """Return the ids of the orders that the request created: one order, or both of a group."""
    if order.group_kind not in {GroupKind.OCO, GroupKind.OTO} or not order.group_id or order.replaces:
        return [order.id]
    group_orders = context.order_store.list_group(order)
    return sorted(member.id for member in group_orders if member.request_hash == order.request_hash)
