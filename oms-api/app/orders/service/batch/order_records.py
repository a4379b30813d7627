"""The histories and executions of orders: loaded, and those that the batch has not written yet."""

from collections.abc import Iterable, Sequence
from typing import Any

from app.orders.queries.book import list_histories
from app.orders.queries.broker_requests import list_requests_of_order
from app.orders.queries.executions import find_executed_orders
from app.orders.queries.executions import list_executions as list_stored_executions
from app.orders.rules.broker_requests import BrokerRequest
from app.orders.rules.rows import ExecutionKey, ExecutionRow, OrderEvent
from app.orders.rules.values import Order, OrderKey
from app.orders.service.batch.batch_context import BatchContext


def load_histories(context: BatchContext, orders: Iterable[Order]) -> None:
    """Load the histories of orders."""
    missing = _list_unread(context, orders, context.loaded.histories)
    if missing:
        context.loaded.histories.update(list_histories(context.connection, missing))


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
    return context.loaded.histories[order.key] + new


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
        order_ids = find_executed_orders(context.connection, missing)
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
