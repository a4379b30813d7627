"""Count what a batch did with orders."""

import orjson

from app.metrics import Metrics
from app.orders.rules.values import Status
from app.orders.service.order_store import OrderStore


def count_changes(metrics: Metrics | None, order_store: OrderStore) -> None:
    """Count the changed orders by type and status, the fills, and the denials by code."""
    if metrics is None:
        return
    for order in order_store.changed:
        metrics.orders.count_order(order.type, order.status)
        if order.status is Status.DENIED and order.denial:
            metrics.orders.count_denial(orjson.loads(order.denial)["code"])
    metrics.orders.count_fills(len(order_store.executions))
