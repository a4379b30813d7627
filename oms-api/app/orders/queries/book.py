"""The writer's statements on orders: each serves a whole batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, select

from app.database import build_insert, build_update, find_matching_rows
from app.database.bulk import Row, Write, find_rows_by_name
from app.ids import build_first_trade_id
from app.orders.models import IS_OPEN, Execution, OrderEvent, OrderRecord
from app.orders.rules.contingency import EXITS
from app.orders.rules.rows import COLUMNS, MUTABLE, ExecutionRow, Move, order_of, row_of
from app.orders.rules.values import Order
from app.risk.rules.latches import Holder, LatchScope

ORDERS = cast("Table", OrderRecord.__table__)
MOVES = cast("Table", OrderEvent.__table__)
EXECUTIONS = cast("Table", Execution.__table__)
_KEY = ("tenant_id", "id")
_PICKED = [ORDERS.c[name] for name in COLUMNS]

OrderKey = tuple[int, str]  # tenant id, order id
PortfolioKey = tuple[int, int]  # tenant id, portfolio id


def portfolio_keys_of(connection: Connection, ids: Sequence[OrderKey]) -> dict[OrderKey, PortfolioKey]:
    """Return the portfolios of the orders that exist."""
    found = find_matching_rows(connection, ORDERS, ("tenant_id", "id", "portfolio_id"), _KEY, ids)
    return {(tenant_id, order_id): (tenant_id, place) for tenant_id, order_id, place in found}


def orders_by_id(connection: Connection, ids: Sequence[OrderKey]) -> list[Order]:
    """Return the orders that exist."""
    return [order_of(row) for row in find_matching_rows(connection, ORDERS, COLUMNS, _KEY, ids)]


def orders_by_name(connection: Connection, column: str, names: Sequence[OrderKey]) -> list[Order]:
    """Return the orders by (tenant id, `column`): client_order_id, idempotency_key, parent_id or group_id."""
    return [
        order_of(row) for row in find_matching_rows(connection, ORDERS, COLUMNS, ("tenant_id", column), names)
    ]


def orders_bound(connection: Connection, column: str, names: Sequence[OrderKey]) -> list[Order]:
    """Return the orders by (tenant id, `column`) where hardly any is expected: their rows are read apart."""
    found = find_rows_by_name(connection, ORDERS, _KEY, column, names)
    return orders_by_id(connection, found)


def open_orders(connection: Connection, places: Sequence[PortfolioKey]) -> list[Order]:
    """Return the open orders of the portfolios."""
    found = []
    for tenant_id, wanted in _by_tenant(places).items():
        statement = select(*_PICKED).where(
            ORDERS.c.tenant_id == tenant_id, ORDERS.c.portfolio_id.in_(wanted), IS_OPEN
        )
        found += [order_of(row) for row in connection.execute(statement)]
    return found


def open_orders_of(connection: Connection, place: PortfolioKey, symbol: str) -> list[Order]:
    """Return the open orders of a portfolio in a symbol."""
    statement = select(*_PICKED).where(
        ORDERS.c.tenant_id == place[0], ORDERS.c.portfolio_id == place[1], ORDERS.c.symbol == symbol, IS_OPEN
    )
    return [order_of(row) for row in connection.execute(statement)]


def places_with_orders(
    connection: Connection, symbols: Sequence[OrderKey]
) -> dict[OrderKey, list[PortfolioKey]]:
    """Return the portfolios that have open orders in each of the symbols (tenant id, symbol)."""
    found: dict[OrderKey, list[PortfolioKey]] = {}
    for tenant_id, wanted in _by_tenant(symbols).items():
        statement = (
            select(ORDERS.c.symbol, ORDERS.c.portfolio_id)
            .where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.symbol.in_(wanted), IS_OPEN)
            .distinct()
            .order_by(ORDERS.c.portfolio_id)
        )
        for symbol, portfolio_id in connection.execute(statement):
            found.setdefault((tenant_id, symbol), []).append((tenant_id, portfolio_id))
    return found


def places_with_any(connection: Connection, tenant_id: int) -> set[PortfolioKey]:
    """Return the tenant's portfolios that have open orders."""
    statement = select(ORDERS.c.portfolio_id).where(ORDERS.c.tenant_id == tenant_id, IS_OPEN).distinct()
    return {(tenant_id, row[0]) for row in connection.execute(statement)}


def recent_orders(connection: Connection, order: Order, since: datetime) -> list[Order]:
    """Return the orders of the order's portfolio, symbol and person that were placed at `since` or later."""
    statement = select(*_PICKED).where(
        ORDERS.c.tenant_id == order.tenant_id,
        ORDERS.c.symbol == order.symbol,
        ORDERS.c.id >= f"O{build_first_trade_id(since)[1:]}",  # ids begin with the time
        ORDERS.c.portfolio_id == order.portfolio_id,
        ORDERS.c.actor == order.actor,
    )
    return [order_of(row) for row in connection.execute(statement)]


def symbols_with_orders(connection: Connection) -> list[OrderKey]:
    """Return (tenant id, symbol) of all open orders, of every tenant that `connection` sees."""
    statement = select(ORDERS.c.tenant_id, ORDERS.c.symbol).where(IS_OPEN).distinct()
    return [(row[0], row[1]) for row in connection.execute(statement)]


def overdue_places(connection: Connection, tenant_id: int, now: str) -> set[PortfolioKey]:
    """Return the tenant's portfolios with open orders whose end has come."""
    statement = select(ORDERS.c.portfolio_id).where(ORDERS.c.tenant_id == tenant_id, IS_OPEN, _ended(now))
    return {(tenant_id, row[0]) for row in connection.execute(statement.distinct())}


def overdue_tenants(connection: Connection, now: str) -> list[int]:
    """Return the tenants, of those that `connection` sees, that have open orders whose end has come."""
    statement = select(ORDERS.c.tenant_id).where(IS_OPEN, _ended(now)).distinct()
    return [row[0] for row in connection.execute(statement)]


def _ended(now: str) -> ColumnElement[bool]:
    return ORDERS.c.ends_at.isnot(None) & (ORDERS.c.ends_at <= datetime.fromisoformat(now))


def known_executions(connection: Connection, keys: Sequence[Row]) -> set[tuple[Any, ...]]:
    """Return those of the executions (tenant id, broker, execution id) that are booked."""
    names = ("tenant_id", "broker", "execution_id")
    return set(find_matching_rows(connection, EXECUTIONS, names, names, keys))


def used_since(connection: Connection, tenant_id: int, symbol: str, since: str) -> list[tuple[Any, ...]]:
    """Return (portfolio id, side, quantity) of what was executed in the symbol at that instant or later."""
    columns = (EXECUTIONS.c.portfolio_id, EXECUTIONS.c.side, EXECUTIONS.c.quantity)
    statement = select(*columns).where(
        EXECUTIONS.c.tenant_id == tenant_id,
        EXECUTIONS.c.symbol == symbol,
        EXECUTIONS.c.executed_at >= datetime.fromisoformat(since),
    )
    return [tuple(row) for row in connection.execute(statement)]


def executed_by(connection: Connection, tenant_id: int, holder: Holder, since: str) -> set[str]:
    """Return the ids of the orders that a strategy, or a key by itself, executed at that instant or later."""
    home = (ORDERS.c.tenant_id == EXECUTIONS.c.tenant_id) & (ORDERS.c.id == EXECUTIONS.c.order_id)
    is_exit = ORDERS.c.role.in_(EXITS)
    statement = (
        select(EXECUTIONS.c.order_id)
        .select_from(EXECUTIONS.join(ORDERS, home))
        .where(
            EXECUTIONS.c.tenant_id == tenant_id,
            EXECUTIONS.c.symbol == holder.symbol,
            EXECUTIONS.c.executed_at >= datetime.fromisoformat(since),
            ORDERS.c.role.is_(None) | ~is_exit,
            *_placed_by(holder),
        )
    )
    return set(connection.execute(statement.distinct()).scalars())


def _placed_by(holder: Holder) -> tuple[ColumnElement[bool], ...]:
    if holder.scope is LatchScope.STRATEGY:
        return (ORDERS.c.strategy == holder.name,)
    return (ORDERS.c.strategy.is_(None), ORDERS.c.actor.is_(None), ORDERS.c.source == holder.name)


def request_of(connection: Connection, tenant_id: int, order_id: str, key: str) -> bool:
    """Tell whether a move of the order was asked for under that idempotency key."""
    statement = select(MOVES.c.sequence).where(
        MOVES.c.tenant_id == tenant_id, MOVES.c.order_id == order_id, MOVES.c.request_key == key
    )
    return connection.execute(statement).first() is not None


def move_stands(connection: Connection, tenant_id: int, order_id: str, sequence: int, at: str) -> bool:
    """Tell whether that move was recorded at that instant."""
    statement = select(MOVES.c.sequence).where(
        MOVES.c.tenant_id == tenant_id,
        MOVES.c.order_id == order_id,
        MOVES.c.sequence == sequence,
        MOVES.c.at == datetime.fromisoformat(at),
    )
    return connection.execute(statement).first() is not None


def new_orders(orders: Sequence[Order]) -> Write:
    """Insert orders."""
    return build_insert(ORDERS, COLUMNS, [row_of(order) for order in orders])


def changed_orders(orders: Sequence[Order]) -> Write:
    """Write what of an order changes."""
    return build_update(ORDERS, MUTABLE, _KEY, [row_of(order, (*MUTABLE, *_KEY)) for order in orders])


def new_moves(moves: Sequence[Move]) -> Write:
    """Append to the orders' histories."""
    return build_insert(MOVES, Move._fields, moves)


def new_executions(rows: Sequence[ExecutionRow]) -> Write:
    """Append executions."""
    return build_insert(EXECUTIONS, ExecutionRow._fields, rows)


def _by_tenant(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = {}
    for tenant_id, value in pairs:
        grouped.setdefault(tenant_id, []).append(value)
    return grouped
