"""Queries of the positions and orders that a kill switch closes."""

from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, literal, select, union_all

from app.ledger.queries.batch_statements import parse_position
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PositionKey
from app.money import ZERO
from app.orders.models import IS_OPEN
from app.orders.queries.tables import (
    EXECUTION_OF_ORDER,
    EXECUTIONS,
    ORDER_OF_PORTFOLIO,
    ORDERS,
    PORTFOLIOS,
    POSITIONS,
)
from app.orders.rules.rows import COLUMNS, parse_order_row
from app.orders.rules.values import Order

_CHUNK_ROWS = 10_000


class PositionToClose(NamedTuple):
    """An open position to close, or a part of it. `quantity` is signed."""

    portfolio_id: int
    portfolio: str
    symbol: str
    product: str
    quantity: Decimal


def list_positions_to_close(
    connection: Connection, tenant_id: int, name_key: str | None
) -> list[PositionToClose]:
    """Return the open positions of one portfolio, or of all portfolios if `name_key` is None."""
    is_same_portfolio = (PORTFOLIOS.c.tenant_id == POSITIONS.c.tenant_id) & (
        PORTFOLIOS.c.id == POSITIONS.c.portfolio_id
    )
    columns: tuple[Any, ...] = (PORTFOLIOS.c.name, POSITIONS.c.symbol, POSITIONS.c.product)
    statement = (
        select(PORTFOLIOS.c.id, *columns, POSITIONS.c.quantity)
        .select_from(POSITIONS.join(PORTFOLIOS, is_same_portfolio))
        .where(POSITIONS.c.tenant_id == tenant_id)
        .order_by(*columns)
    )
    if name_key is not None:
        statement = statement.where(PORTFOLIOS.c.name_key == name_key)
    return [PositionToClose._make(row) for row in connection.execute(statement) if row[4]]


def list_portfolio_names_with_open_orders(
    connection: Connection, tenant_id: int, name_key: str | None, strategy: str | None
) -> list[str]:
    """Return the names of the tenant's portfolios that have open orders.

    `name_key` selects one portfolio, `strategy` the orders of one strategy; None selects all.
    """
    statement = (
        select(PORTFOLIOS.c.name)
        .select_from(ORDERS.join(PORTFOLIOS, ORDER_OF_PORTFOLIO))
        .where(ORDERS.c.tenant_id == tenant_id, IS_OPEN)
        .distinct()
    )
    if name_key is not None:
        statement = statement.where(PORTFOLIOS.c.name_key == name_key)
    if strategy is not None:
        statement = statement.where(ORDERS.c.strategy == strategy)
    return sorted(row[0] for row in connection.execute(statement))


def load_net_executed_quantities(
    connection: Connection, tenant_id: int, strategy: str
) -> dict[PositionKey, Decimal]:
    """Return the net executed quantity of a strategy for each position: bought minus sold."""
    columns = (ORDERS.c.portfolio_id, ORDERS.c.symbol, ORDERS.c.product, ORDERS.c.side)
    statement = (
        select(*columns, EXECUTIONS.c.quantity)
        .select_from(ORDERS.join(EXECUTIONS, EXECUTION_OF_ORDER))
        .where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.strategy == strategy)
    )
    nets: dict[PositionKey, Decimal] = defaultdict(lambda: ZERO)
    # Summed in Python, because SQLite would sum in floating point.
    for *key, side, quantity in connection.execute(statement, execution_options={"yield_per": _CHUNK_ROWS}):
        nets[PositionKey(tenant_id, *key)] += quantity if side == "BUY" else -quantity
    return nets


_POSITION_COLUMNS = (
    "portfolio_id", "symbol", "product", "quantity", "cost", "realized_pnl",
    "currency", "local_cost", "opened_at", "closed_at", "last_executed_at",
)  # fmt: skip
_POSITION_ROW, _ORDER_ROW = 0, 1


class FirmBooks(NamedTuple):
    """Base currencies by portfolio id, positions that are not flat, and open orders."""

    base_currencies: dict[int, str]
    positions: dict[PositionKey, Position]
    orders: list[Order]


def load_firm_books(connection: Connection, tenant_id: int) -> FirmBooks:
    """Return the positions and open orders of the tenant's portfolios.

    One statement reads both: between two statements a fill could be counted in neither. Each portfolio is
    joined once with its positions and once with its open orders.
    """
    kinds = union_all(*(select(literal(kind).label("kind")) for kind in (_POSITION_ROW, _ORDER_ROW)))
    kind = kinds.subquery("kinds").c.kind
    columns = [PORTFOLIOS.c.id, PORTFOLIOS.c.base_currency, kind]
    columns += [POSITIONS.c[name].label(f"held_{name}") for name in _POSITION_COLUMNS]
    columns += [ORDERS.c[name].label(f"order_{name}") for name in COLUMNS]
    is_open_position = and_(
        kind == _POSITION_ROW, *_build_portfolio_conditions(POSITIONS), POSITIONS.c.quantity != ZERO
    )
    is_open_order = and_(kind == _ORDER_ROW, *_build_portfolio_conditions(ORDERS), IS_OPEN)
    source = PORTFOLIOS.join(kind.table, literal(value=True))
    source = source.outerjoin(POSITIONS, is_open_position).outerjoin(ORDERS, is_open_order)
    statement = select(*columns).select_from(source).where(PORTFOLIOS.c.tenant_id == tenant_id)
    books = FirmBooks({}, {}, [])
    for portfolio_id, base, row_kind, *values in connection.execute(statement):
        books.base_currencies[portfolio_id] = base
        position, order = values[: len(_POSITION_COLUMNS)], values[len(_POSITION_COLUMNS) :]
        if row_kind == _POSITION_ROW and position[0] is not None:
            key = PositionKey(tenant_id, portfolio_id, position[1], position[2])
            books.positions[key] = parse_position(position[3:])
        elif row_kind == _ORDER_ROW and order[0] is not None:
            books.orders.append(parse_order_row(tuple(order)))
    return books


def _build_portfolio_conditions(table: Table) -> tuple[ColumnElement[bool], ...]:
    return (table.c.tenant_id == PORTFOLIOS.c.tenant_id, table.c.portfolio_id == PORTFOLIOS.c.id)
