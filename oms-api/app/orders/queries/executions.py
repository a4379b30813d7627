"""Queries of executions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from app.column_values import format_canonical
from app.database import build_insert, load_matching_rows
from app.database.bulk import BulkWrite
from app.orders.queries.tables import EXECUTION_OF_ORDER, EXECUTIONS, ORDERS
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.rows import ExecutionKey, ExecutionRow
from app.orders.rules.values import OrderKey
from app.risk.rules.latches import LatchScope, LatchSubject
from app.timestamps import Timestamp


def load_order_ids_by_execution(
    connection: Connection, keys: Sequence[ExecutionKey]
) -> dict[ExecutionKey, str]:
    """Return the id of the order of each recorded execution."""
    names = ExecutionKey._fields
    matching_rows = load_matching_rows(connection, EXECUTIONS, (*names, "order_id"), names, keys)
    return {ExecutionKey(*key): order_id for *key, order_id in matching_rows}


def list_executions_of_orders(
    connection: Connection, tenant_id: int, order_ids: Sequence[str]
) -> list[ExecutionRow]:
    """Return the executions of the orders."""
    return list_executions(connection, [OrderKey(tenant_id, order_id) for order_id in order_ids])


def list_executions(connection: Connection, keys: Sequence[OrderKey]) -> list[ExecutionRow]:
    """Return the executions of the orders."""
    matching_rows = load_matching_rows(
        connection, EXECUTIONS, ExecutionRow._fields, ("tenant_id", "order_id"), keys
    )
    return [ExecutionRow._make(map(format_canonical, row)) for row in matching_rows]


def list_execution_quantities(
    connection: Connection, tenant_id: int, symbol: str, since: Timestamp
) -> list[tuple[Any, ...]]:
    """Return (portfolio id, side, quantity) of the symbol's executions at `since` or later."""
    columns = (EXECUTIONS.c.portfolio_id, EXECUTIONS.c.side, EXECUTIONS.c.quantity)
    statement = select(*columns).where(
        EXECUTIONS.c.tenant_id == tenant_id,
        EXECUTIONS.c.symbol == symbol,
        EXECUTIONS.c.executed_at >= datetime.fromisoformat(since),
    )
    return [tuple(row) for row in connection.execute(statement)]


def load_executed_order_ids(
    connection: Connection, tenant_id: int, subject: LatchSubject, since: Timestamp
) -> set[str]:
    """Return the ids of the orders that a strategy or an API key executed at `since` or later.

    Exits of brackets are left out.
    """
    is_exit = ORDERS.c.role.in_(EXIT_ROLES)
    statement = (
        select(EXECUTIONS.c.order_id)
        .select_from(EXECUTIONS.join(ORDERS, EXECUTION_OF_ORDER))
        .where(
            EXECUTIONS.c.tenant_id == tenant_id,
            EXECUTIONS.c.symbol == subject.symbol,
            EXECUTIONS.c.executed_at >= datetime.fromisoformat(since),
            ORDERS.c.role.is_(None) | ~is_exit,
            *_build_subject_conditions(subject),
        )
    )
    return set(connection.execute(statement.distinct()).scalars())


def _build_subject_conditions(subject: LatchSubject) -> tuple[ColumnElement[bool], ...]:
    if subject.scope is LatchScope.STRATEGY:
        return (ORDERS.c.strategy == subject.name,)
    return (ORDERS.c.strategy.is_(None), ORDERS.c.actor.is_(None), ORDERS.c.source == subject.name)


def insert_executions(rows: Sequence[ExecutionRow]) -> BulkWrite:
    """Return the statement that inserts the executions."""
    return build_insert(EXECUTIONS, ExecutionRow._fields, rows)
