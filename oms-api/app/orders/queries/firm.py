"""Read the positions and open orders of all portfolios of a tenant in one snapshot."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, literal, select, union_all

from app.ledger.queries.books import parse_position
from app.ledger.rules.accounting import Position
from app.ledger.rules.keys import PositionKey
from app.money import ZERO
from app.orders.models import IS_OPEN
from app.orders.queries.tables import ORDERS, PORTFOLIOS, POSITIONS
from app.orders.rules.rows import COLUMNS, order_of
from app.orders.rules.values import Order

_POSITION = (
    *("portfolio_id", "symbol", "product", "quantity", "cost", "realized_pnl"),
    *("currency", "local_cost", "opened_at", "closed_at", "last_executed_at"),
)
_IS_POSITION, _IS_ORDER = 0, 1


class FirmBooks(NamedTuple):
    """Base currencies by portfolio id, positions that are not flat, and open orders."""

    base_currencies: dict[int, str]
    positions: dict[PositionKey, Position]
    orders: list[Order]


def firm_books(connection: Connection, tenant_id: int) -> FirmBooks:
    """Return the positions and open orders of the tenant's portfolios.

    One statement reads both: between two statements a fill could be counted in neither. Each portfolio is
    joined once with its positions and once with its open orders.
    """
    kinds = union_all(*(select(literal(kind).label("kind")) for kind in (_IS_POSITION, _IS_ORDER)))
    kind = kinds.subquery("kinds").c.kind
    columns = [PORTFOLIOS.c.id, PORTFOLIOS.c.base_currency, kind]
    columns += [POSITIONS.c[name].label(f"held_{name}") for name in _POSITION]
    columns += [ORDERS.c[name].label(f"order_{name}") for name in COLUMNS]
    held = and_(kind == _IS_POSITION, *_of_portfolio(POSITIONS), POSITIONS.c.quantity != ZERO)
    working = and_(kind == _IS_ORDER, *_of_portfolio(ORDERS), IS_OPEN)
    source = PORTFOLIOS.join(kind.table, literal(value=True))
    source = source.outerjoin(POSITIONS, held).outerjoin(ORDERS, working)
    statement = select(*columns).select_from(source).where(PORTFOLIOS.c.tenant_id == tenant_id)
    books = FirmBooks({}, {}, [])
    for portfolio_id, base, what, *values in connection.execute(statement):
        books.base_currencies[portfolio_id] = base
        position, order = values[: len(_POSITION)], values[len(_POSITION) :]
        if what == _IS_POSITION and position[0] is not None:
            key = PositionKey(tenant_id, portfolio_id, position[1], position[2])
            books.positions[key] = parse_position(position[3:])
        elif what == _IS_ORDER and order[0] is not None:
            books.orders.append(order_of(tuple(order)))
    return books


def _of_portfolio(table: Table) -> tuple[ColumnElement[bool], ...]:
    return (table.c.tenant_id == PORTFOLIOS.c.tenant_id, table.c.portfolio_id == PORTFOLIOS.c.id)
