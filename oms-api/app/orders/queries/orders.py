"""Read and write orders and their histories. Each statement serves a whole batch of the writer."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select

from app.column_values import format_canonical
from app.database import build_insert, build_update, load_matching_rows
from app.database.bulk import BulkWrite, load_rows_by_name
from app.database.prepared import JsonStatement
from app.ids import build_first_trade_id
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDER_EVENTS, ORDERS, select_orders
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.order_factory import PAPER
from app.orders.rules.rows import (
    COLUMNS,
    EVENT_COLUMNS,
    MUTABLE_COLUMNS,
    STATUS_COLUMNS,
    OrderEvent,
    is_status_change,
    pack_order_history,
    parse_order_row,
    serialize_order_row,
    unpack_order_history,
)
from app.orders.rules.values import WORKING_STATUSES, Order, OrderKey
from app.timestamps import Timestamp

_KEY_COLUMNS = ("tenant_id", "id")


class OrderColumnValue(NamedTuple):
    """A value of a column by which orders of a tenant are found, such as a client order id."""

    tenant_id: int
    value: str


class RepeatKey(NamedTuple):
    """The fields that repeated orders have in common."""

    tenant_id: int
    symbol: str
    portfolio_id: int
    actor: str


def load_portfolio_keys(connection: Connection, ids: Sequence[OrderKey]) -> dict[OrderKey, PortfolioKey]:
    """Return the portfolio of each order that exists."""
    matching_rows = load_matching_rows(
        connection, ORDERS, ("tenant_id", "id", "portfolio_id"), _KEY_COLUMNS, ids
    )
    return {
        OrderKey(tenant_id, order_id): PortfolioKey(tenant_id, portfolio_id)
        for tenant_id, order_id, portfolio_id in matching_rows
    }


def load_orders_by_id(connection: Connection, ids: Sequence[OrderKey]) -> list[Order]:
    """Return the orders that exist."""
    return [
        parse_order_row(row) for row in load_matching_rows(connection, ORDERS, COLUMNS, _KEY_COLUMNS, ids)
    ]


def load_orders_by_column(
    connection: Connection, column: str, names: Sequence[OrderColumnValue]
) -> list[Order]:
    """Return the orders whose `column` has one of the values.

    `column` is client_order_id, idempotency_key, parent_id or group_id.
    """
    return [
        parse_order_row(row)
        for row in load_matching_rows(connection, ORDERS, COLUMNS, ("tenant_id", column), names)
    ]


def load_orders_by_column_index(
    connection: Connection,
    column: str,
    names: Sequence[OrderColumnValue],
    locks: Sequence[JsonStatement] = (),
) -> list[Order]:
    """Return the orders whose `column` has one of the values, when few matches are expected.

    The ids are read first, from the index alone, and then the rows. On PostgreSQL, take the `locks` of
    `build_name_locks` before, in the same round trip.
    """
    matching_rows = load_rows_by_name(connection, ORDERS, _KEY_COLUMNS, column, names, locks)
    return load_orders_by_id(connection, [OrderKey._make(row) for row in matching_rows])


def list_open_orders(connection: Connection, portfolio_keys: Sequence[PortfolioKey]) -> list[Order]:
    """Return the open orders of the portfolios."""
    orders = []
    for tenant_id, values in _group_by_tenant(portfolio_keys).items():
        is_its = ORDERS.c.portfolio_id.in_(values)
        orders += select_orders(connection, ORDERS.c.tenant_id == tenant_id, is_its, IS_OPEN)
    return orders


def load_row_versions(
    connection: Connection, portfolio_keys: Sequence[PortfolioKey]
) -> dict[PortfolioKey, dict[str, str | None]]:
    """Return the versions of the rows of the portfolios' open orders, by order id.

    A version is the number of the transaction that wrote the row, None on SQLite.
    """
    version = "NULL" if connection.dialect.name == "sqlite" else "CAST(xmin AS text)"
    versions_by_portfolio: dict[PortfolioKey, dict[str, str | None]] = {}
    for tenant_id, values in _group_by_tenant(portfolio_keys).items():
        statement = select(ORDERS.c.portfolio_id, ORDERS.c.id, literal_column(version)).where(
            ORDERS.c.tenant_id == tenant_id, ORDERS.c.portfolio_id.in_(values), IS_OPEN
        )
        for portfolio_id, order_id, row_version in connection.execute(statement):
            versions_by_portfolio.setdefault(PortfolioKey(tenant_id, portfolio_id), {})[order_id] = (
                row_version
            )
    return versions_by_portfolio


def list_open_orders_in_symbol(
    connection: Connection, portfolio_key: PortfolioKey, symbol: str
) -> list[Order]:
    """Return the open orders of a portfolio in a symbol."""
    return select_orders(
        connection,
        ORDERS.c.tenant_id == portfolio_key.tenant_id,
        ORDERS.c.portfolio_id == portfolio_key.portfolio_id,
        ORDERS.c.symbol == symbol,
        IS_OPEN,
    )


def list_recent_exits(connection: Connection, key: PositionKey, since: Timestamp) -> list[Order]:
    """Return the exits of a position that are open or changed at `since` or later, oldest first."""
    return select_orders(
        connection,
        ORDERS.c.tenant_id == key.tenant_id,
        ORDERS.c.symbol == key.symbol,
        ORDERS.c.portfolio_id == key.portfolio_id,
        ORDERS.c.product == key.product,
        ORDERS.c.role.in_(EXIT_ROLES),
        or_(IS_OPEN, ORDERS.c.updated_at >= datetime.fromisoformat(since)),
    )


def count_open_orders(
    connection: Connection, keys: Sequence[InstrumentKey]
) -> dict[InstrumentKey, list[tuple[PortfolioKey, int]]]:
    """Return the portfolios with open orders in each instrument, by id, with the number of these orders."""
    counts_by_instrument: dict[InstrumentKey, list[tuple[PortfolioKey, int]]] = {}
    for tenant_id, values in _group_by_tenant(keys).items():
        statement = (
            select(ORDERS.c.symbol, ORDERS.c.portfolio_id, func.count())
            .where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.symbol.in_(values), IS_OPEN)
            .group_by(ORDERS.c.symbol, ORDERS.c.portfolio_id)
            .order_by(ORDERS.c.portfolio_id)
        )
        for symbol, portfolio_id, count in connection.execute(statement):
            portfolio_key = PortfolioKey(tenant_id, portfolio_id)
            counts_by_instrument.setdefault(InstrumentKey(tenant_id, symbol), []).append(
                (portfolio_key, count)
            )
    return counts_by_instrument


def list_portfolios_with_open_orders(connection: Connection, tenant_id: int) -> set[PortfolioKey]:
    """Return the tenant's portfolios that have open orders."""
    statement = select(ORDERS.c.portfolio_id).where(ORDERS.c.tenant_id == tenant_id, IS_OPEN).distinct()
    return {PortfolioKey(tenant_id, portfolio_id) for portfolio_id in connection.execute(statement).scalars()}


def list_recent_orders(connection: Connection, keys: Sequence[RepeatKey], since: datetime) -> list[Order]:
    """Return the orders with one of the keys that were placed at `since` or later."""
    first_id = f"O{build_first_trade_id(since)[1:]}"  # an id starts with its creation time
    names = ("tenant_id", "symbol", "portfolio_id", "actor")
    rows = [(*key, first_id) for key in keys]
    return [
        parse_order_row(row)
        for row in load_matching_rows(connection, ORDERS, COLUMNS, names, rows, minimum_column="id")
    ]


def list_instruments_with_open_orders(connection: Connection) -> list[InstrumentKey]:
    """Return the instruments of all open orders, for every tenant that `connection` can read."""
    statement = select(ORDERS.c.tenant_id, ORDERS.c.symbol).where(IS_OPEN).distinct()
    return [InstrumentKey(*row) for row in connection.execute(statement)]


def list_portfolios_with_overdue_orders(
    connection: Connection, tenant_id: int, now: str, limit: int
) -> set[PortfolioKey]:
    """Return portfolios of the tenant with open orders which expire at `now` or before.

    They are selected by ascending id until they have at least `limit` overdue orders together.
    """
    statement = (
        select(ORDERS.c.portfolio_id, func.count())
        .where(ORDERS.c.tenant_id == tenant_id, IS_OPEN, build_expiry_condition(now))
        .group_by(ORDERS.c.portfolio_id)
        .order_by(ORDERS.c.portfolio_id)
    )
    portfolio_keys: set[PortfolioKey] = set()
    for portfolio_id, count in connection.execute(statement):
        if limit <= 0:
            break
        portfolio_keys.add(PortfolioKey(tenant_id, portfolio_id))
        limit -= count
    return portfolio_keys


def build_expiry_condition(now: str) -> ColumnElement[bool]:
    """Return the condition that an order expires at `now` or before.

    Brokers expire the orders that they work.
    """
    is_due = ORDERS.c.ends_at.isnot(None) & (ORDERS.c.ends_at <= datetime.fromisoformat(now))
    return is_due & ((ORDERS.c.broker == PAPER) | ORDERS.c.status.not_in(sorted(WORKING_STATUSES)))


def load_histories_by_order(
    connection: Connection, keys: Sequence[OrderKey]
) -> dict[OrderKey, list[OrderEvent]]:
    """Return the history of each order, oldest first."""
    histories: dict[OrderKey, list[OrderEvent]] = {key: [] for key in keys}
    for row in load_matching_rows(connection, ORDER_EVENTS, EVENT_COLUMNS, ("tenant_id", "order_id"), keys):
        for event in unpack_order_history([*map(format_canonical, row)]):
            histories[OrderKey(event.tenant_id, event.order_id)].append(event)
    for history in histories.values():
        history.sort(key=lambda event: event.sequence)
    return histories


def list_order_events(connection: Connection, tenant_id: int, order_id: str) -> list[OrderEvent]:
    """Return the order's history, oldest first."""
    key = OrderKey(tenant_id, order_id)
    return load_histories_by_order(connection, [key])[key]


def is_event_recorded(connection: Connection, event: OrderEvent) -> bool:
    """Return whether the order's history has that change."""
    return event in list_order_events(connection, event.tenant_id, event.order_id)


def insert_orders(orders: Sequence[Order]) -> BulkWrite:
    """Return the statement that inserts the orders."""
    return build_insert(ORDERS, COLUMNS, [serialize_order_row(order) for order in orders])


def update_orders(changes: Sequence[tuple[Order, Order]]) -> BulkWrite:
    """Return the statement that updates orders, each given before and after its changes.

    It writes STATUS_COLUMNS if all changes are changes of status, else MUTABLE_COLUMNS. These are only two
    statements, so that each is planned once.
    """
    columns = STATUS_COLUMNS if all(is_status_change(*change) for change in changes) else MUTABLE_COLUMNS
    rows = [serialize_order_row(current, (*columns, *_KEY_COLUMNS)) for _, current in changes]
    return build_update(ORDERS, columns, _KEY_COLUMNS, rows)


def insert_order_events(history: Sequence[OrderEvent]) -> BulkWrite:
    """Return the statement that inserts the history rows."""
    return build_insert(ORDER_EVENTS, EVENT_COLUMNS, pack_order_history(history))


def _group_by_tenant(pairs: Iterable[tuple[int, Any]]) -> dict[int, list[Any]]:
    grouped: dict[int, list[Any]] = {}
    for tenant_id, value in pairs:
        grouped.setdefault(tenant_id, []).append(value)
    return grouped
