"""Count what a batch did with orders and trades."""

from collections.abc import Iterable

import orjson

from app.ledger.rules.ledger_state import REVERSAL
from app.ledger.service.commands import RecordedTrade
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


def count_trades(metrics: Metrics | None, outcomes: Iterable[object]) -> None:
    """Count the trades of a batch that were reported without an order, and the reversals."""
    if metrics is None:
        return
    rows = [one.row for one in outcomes if isinstance(one, RecordedTrade) and not one.replayed]
    reversals = sum(row.kind == REVERSAL for row in rows)
    metrics.orders.count_trades("reversal", reversals)
    metrics.orders.count_trades("trade", len(rows) - reversals)
