"""Exclude fills that a broker lists and that are booked already, perhaps under another id."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple, TypeGuard, TypeVar

from sqlalchemy import Connection

from app.brokers.rules.fill_reconciliation import select_missing_fills
from app.brokers.rules.values import BrokerEvent, Executed
from app.orders.queries.executions import list_executions_of_orders
from app.orders.rules.execution_ids import list_unbusted
from app.orders.rules.rows import ExecutionRow

EventT = TypeVar("EventT", bound=BrokerEvent)


class _BookedFill(NamedTuple):
    execution_id: str
    quantity: Decimal
    price: Decimal


def is_listed_fill(event: BrokerEvent) -> TypeGuard[Executed]:
    """Return whether the event is a fill that its broker listed, and perhaps reported under another id."""
    return isinstance(event, Executed) and event.order_filled is not None


def exclude_known_fills(connection: Connection, tenant_id: int, events: Sequence[EventT]) -> list[EventT]:
    """Return the events without listed fills that are booked, under their own id or under another one."""
    fills_by_order: dict[str, list[Executed]] = {}
    for event in events:
        if is_listed_fill(event):
            fills_by_order.setdefault(event.order_id, []).append(event)
    rows = list_executions_of_orders(connection, tenant_id, sorted(fills_by_order)) if fills_by_order else []
    missing: set[BrokerEvent] = set()
    for order_id, fills in fills_by_order.items():
        missing |= set(_select_missing([row for row in rows if row.order_id == order_id], fills))
    return [event for event in events if not is_listed_fill(event) or event in missing]


def _select_missing(rows: Sequence[ExecutionRow], fills: Sequence[Executed]) -> list[Executed]:
    unbusted_rows = list_unbusted(rows)
    booked_fills = [
        _BookedFill(row.execution_id, Decimal(row.quantity), Decimal(row.price)) for row in unbusted_rows
    ]
    busted = {row.execution_id for row in rows} - {row.execution_id for row in unbusted_rows}
    filled_quantity = max(fill.order_filled for fill in fills if fill.order_filled is not None)
    return select_missing_fills(booked_fills, fills, filled_quantity, busted)
