"""Read all orders, their histories, executions and events for the verification, in chunks and in order."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, and_, collate, select

from app.clock import iso
from app.events.models import Event
from app.ledger.models import Trade
from app.money import fixed
from app.orders.models import Execution, OrderEvent, OrderRecord
from app.orders.rules.event_verification import NON_MOVE_EVENTS
from app.orders.rules.rows import COLUMNS, ExecutionRow, Move, order_of
from app.orders.rules.values import Order

_ORDERS = cast("Table", OrderRecord.__table__)
_MOVES = cast("Table", OrderEvent.__table__)
_EXECUTIONS = cast("Table", Execution.__table__)
_TRADES = cast("Table", Trade.__table__)
_EVENTS = cast("Table", Event.__table__)
_CHUNK = {"yield_per": 5_000}


class BookedTrade(NamedTuple):
    """The ledger's trade of an execution."""

    order_id: str | None
    portfolio_id: int
    symbol: str
    product: str
    side: str
    quantity: str
    price: str
    gmv: str
    charges: str
    executed_at: str
    source: str
    user_id: str | None
    actor: str | None
    note: str | None


class Booked(NamedTuple):
    """An execution with its trade, or None if the ledger has no such trade."""

    tenant_id: int
    order_id: str
    row: ExecutionRow
    trade: BookedTrade | None


def iterate_orders(connection: Connection) -> Iterator[Order]:
    """Yield all orders, sorted by tenant and id."""
    columns = [_ORDERS.c[name] for name in COLUMNS]
    statement = select(*columns).order_by(_ORDERS.c.tenant_id, _ORDERS.c.id)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield order_of(tuple(row))


def iterate_moves(connection: Connection) -> Iterator[Move]:
    """Yield all order history rows, sorted by tenant, order and sequence."""
    columns = [_MOVES.c[name] for name in Move._fields]
    for row in connection.execute(select(*columns).order_by(*columns[:3]), execution_options=_CHUNK):
        yield Move._make(map(_as_text, row))


def iterate_executions(connection: Connection) -> Iterator[Booked]:
    """Yield all executions with their trades, sorted by tenant and order."""
    executions = _EXECUTIONS.c
    same = and_(_TRADES.c.tenant_id == executions.tenant_id, _TRADES.c.trade_id == executions.trade_id)
    columns: list[Any] = [executions[name] for name in ExecutionRow._fields]
    columns += [_TRADES.c.trade_id, *(_TRADES.c[name] for name in BookedTrade._fields)]
    joined = _EXECUTIONS.outerjoin(_TRADES, same)
    statement = select(*columns).select_from(joined).order_by(executions.tenant_id, executions.order_id)
    count = len(ExecutionRow._fields)
    for row in connection.execute(statement, execution_options=_CHUNK):
        values = [_as_text(value) for value in row]
        execution, trade_id, trade = ExecutionRow._make(values[:count]), values[count], values[count + 1 :]
        booked = None if trade_id is None else BookedTrade._make(trade)
        yield Booked(execution.tenant_id, execution.order_id, execution, booked)


def iterate_order_events(connection: Connection) -> Iterator[tuple[int, int, str, str, str]]:
    """Yield the id, tenant id, type, payload and creation time of all events of orders.

    A payload begins with the id of its order, so sorting by payload sorts by order.
    """
    payload = collate(_EVENTS.c.payload, "C") if connection.dialect.name != "sqlite" else _EVENTS.c.payload
    columns = [_EVENTS.c[name] for name in ("id", "tenant_id", "type", "payload", "created_at")]
    is_of_order = _EVENTS.c.type.like("order.%") | _EVENTS.c.type.in_(sorted(NON_MOVE_EVENTS))
    statement = select(*columns).where(is_of_order).order_by(_EVENTS.c.tenant_id, payload)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield (row[0], row[1], row[2], row[3], str(_as_text(row[4])))


def _as_text(value: Any) -> Any:
    """Return a decimal or an instant as canonical text.

    SQLite returns text already; PostgreSQL returns decimals and datetimes.
    """
    if isinstance(value, Decimal):
        return fixed(value)
    return iso(value) if isinstance(value, datetime) else value


def iterate_unexecuted_trades(connection: Connection) -> Iterator[tuple[int, str, str]]:
    """Yield (tenant id, trade id, order id) of trades that name an order but have no execution."""
    executions = _EXECUTIONS.c
    same = and_(executions.tenant_id == _TRADES.c.tenant_id, executions.trade_id == _TRADES.c.trade_id)
    statement = (
        select(_TRADES.c.tenant_id, _TRADES.c.trade_id, _TRADES.c.order_id)
        .select_from(_TRADES.outerjoin(_EXECUTIONS, same))
        .where(_TRADES.c.order_id.isnot(None), executions.execution_id.is_(None))
    )
    for row in connection.execute(statement):
        yield (row[0], row[1], row[2])
