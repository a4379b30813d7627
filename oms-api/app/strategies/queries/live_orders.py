"""Read the status and the fills of the orders of a running strategy."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import Connection, Table, or_, select

from app.orders.models import IS_OPEN, ExecutionRecord, OrderRecord
from app.orders.rules.rows import COLUMNS, parse_order_row
from app.orders.rules.values import Order

_ORDERS = cast("Table", OrderRecord.__table__)
_EXECUTIONS = cast("Table", ExecutionRecord.__table__)


class OwnExecution(NamedTuple):
    """A fill of an order, with its charges."""

    execution_id: str
    quantity: Decimal
    price: Decimal
    value: Decimal
    charges: Decimal
    at: datetime


def list_own_orders(
    connection: Connection, tenant_id: int, strategy: str, source: str, order_ids: Collection[str]
) -> list[Order]:
    """Return the open orders that a strategy placed, and those with one of `order_ids`, oldest first."""
    is_wanted = or_(IS_OPEN, _ORDERS.c.id.in_(sorted(order_ids))) if order_ids else IS_OPEN
    statement = (
        select(*(_ORDERS.c[name] for name in COLUMNS))
        .where(_ORDERS.c.tenant_id == tenant_id, _ORDERS.c.strategy == strategy, is_wanted)
        .where(_ORDERS.c.source == source)
        .order_by(_ORDERS.c.id)
    )
    return [parse_order_row(row) for row in connection.execute(statement)]


def load_order_ids(connection: Connection, tenant_id: int, names: Collection[str]) -> dict[str, str]:
    """Return the ids of orders by client order id."""
    is_wanted = (_ORDERS.c.tenant_id == tenant_id, _ORDERS.c.client_order_id.in_(sorted(names)))
    statement = select(_ORDERS.c.client_order_id, _ORDERS.c.id).where(*is_wanted)
    return {row.client_order_id: row.id for row in connection.execute(statement)}


def list_executions(connection: Connection, tenant_id: int, order_id: str) -> list[OwnExecution]:
    """Return the executions of an order, oldest first."""
    row = _EXECUTIONS.c
    statement = (
        select(row.execution_id, row.quantity, row.price, row.value, row.charges, row.executed_at)
        .where(row.tenant_id == tenant_id, row.order_id == order_id, row.note.is_(None))
        .order_by(row.trade_id)
    )
    return [_build_execution(row) for row in connection.execute(statement)]


def _build_execution(row: Any) -> OwnExecution:
    execution_id, quantity, price, value, charges, at = row
    parts = {} if charges is None else orjson.loads(charges)
    return OwnExecution(execution_id, quantity, price, value, Decimal(parts.get("total", "0")), at)


def list_orders_between(
    connection: Connection, tenant_id: int, strategy: str, source: str, since: datetime
) -> list[Order]:
    """Return the orders that a strategy placed since an instant, oldest first."""
    statement = (
        select(*(_ORDERS.c[name] for name in COLUMNS))
        .where(_ORDERS.c.tenant_id == tenant_id, _ORDERS.c.strategy == strategy)
        .where(_ORDERS.c.source == source, OrderRecord.created_at >= since)
        .order_by(_ORDERS.c.id)
    )
    return [parse_order_row(row) for row in connection.execute(statement)]
