"""The histories and executions of orders, and the results of commands and of earlier requests."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.ledger.service.commands import CommandOrigin
from app.orders.errors import ClientOrderIdReused, OrderKeyReused
from app.orders.queries.broker_requests import list_requests_of_order
from app.orders.queries.executions import list_executions as list_stored_executions
from app.orders.queries.executions import load_order_ids_by_execution
from app.orders.queries.orders import load_histories_by_order
from app.orders.rules.broker_requests import BrokerRequest
from app.orders.rules.contingency import PARENT_ROLES
from app.orders.rules.order_views import OrderView
from app.orders.rules.rows import ExecutionKey, ExecutionRow, OrderEvent
from app.orders.rules.values import GroupKind, Order, OrderKey
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.command_results import OrderResult
from app.orders.service.commands import PlaceGroup, PlaceOrder


def load_histories(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load the histories of orders."""
    missing = _list_unread(context, orders, context.loaded.order_events)
    if missing:
        context.loaded.order_events.update(load_histories_by_order(context.connection, missing))


def _list_unread(
    context: BatchContext, orders: Iterable[Order], loaded: dict[OrderKey, list[Any]]
) -> list[OrderKey]:
    """Return the keys of orders whose rows must be read. Orders of this batch have no stored rows."""
    missing = {order.key for order in orders} - loaded.keys()
    loaded.update((key, []) for key in missing)
    return sorted(key for key in missing if not context.order_store.is_new(key))


def list_history(context: BatchContext, order: Order) -> list[OrderEvent]:
    """Return the order's history, oldest first."""
    load_histories(context, [order])
    new = [event for event in context.order_store.events if (event.tenant_id, event.order_id) == order.key]
    return context.loaded.order_events[order.key] + new


def load_executions(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load the executions of orders."""
    missing = _list_unread(context, orders, context.loaded.executions)
    if missing:
        for row in list_stored_executions(context.connection, missing):
            context.loaded.executions[OrderKey(row.tenant_id, row.order_id)].append(row)


def list_executions(context: BatchContext, orders: Sequence[Order]) -> list[ExecutionRow]:
    """Return the executions of orders."""
    load_executions(context, orders)
    keys = {order.key for order in orders}
    stored = [row for key in sorted(keys) for row in context.loaded.executions[key]]
    return stored + [row for row in context.order_store.executions if (row.tenant_id, row.order_id) in keys]


def load_broker_requests(context: BatchContext, order: Order) -> list[BrokerRequest]:
    """Load the stored requests to the order's broker, oldest first, and return them."""
    requests = context.loaded.broker_requests
    if order.key not in requests:
        requests[order.key] = list_requests_of_order(context.connection, *order.key)
    return requests[order.key]


def load_executed_orders(context: BatchContext, keys: Iterable[ExecutionKey]) -> None:
    """Load the ids of the orders under which executions are recorded."""
    missing = sorted(set(keys) - context.loaded.executed_orders.keys())
    if missing:
        order_ids = load_order_ids_by_execution(context.connection, missing)
        context.loaded.executed_orders.update((key, order_ids.get(key)) for key in missing)


def find_executed_order(context: BatchContext, key: ExecutionKey) -> str | None:
    """Return the id of the order under which an execution is recorded, None if it is not recorded."""
    for row in context.order_store.executions:
        if row.key == key:
            return row.order_id
    load_executed_orders(context, [key])
    return context.loaded.executed_orders[key]


def find_order_of_execution(context: BatchContext, order: Order, execution_id: str) -> Order:
    """Return the order under which an execution is recorded, `order` itself if it is not recorded.

    A broker that keeps the id of a replaced order reports a fill of its successor under the first order's id
    again after a restart.
    """
    order_id = find_executed_order(context, ExecutionKey(order.tenant_id, order.broker, execution_id))
    return order if order_id is None else context.order_store.get(order.tenant_id, order_id)


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
    context: BatchContext, origin: CommandOrigin, *client_order_ids: str | None
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


def find_repeated_change(context: BatchContext, origin: CommandOrigin, order: Order) -> OrderResult | None:
    """Return the order if it was changed under the request's idempotency key, else None."""
    key = origin.idempotency_key
    if not key or all(event.request_key != key for event in list_history(context, order)):
        return None
    return build_result(context, order.tenant_id, [order.id])._replace(replayed=True)


def _find_visible_order(context: BatchContext, origin: CommandOrigin, name: str) -> Order | None:
    """Return the order with a key or client order id: of the same request, else the oldest."""
    orders = context.loaded.orders_by_request_key.get((origin.tenant_id, name), [])
    if not orders:
        return None
    visible = [order for order in orders if context.can_see(origin, order.portfolio_key)]
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
