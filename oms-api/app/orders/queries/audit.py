"""Orders for those who prove them: every row, in order, a part at a time."""

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
    """What the ledger says of an execution's trade."""

    order_id: str | None
    portfolio_id: int
    symbol: str
    product: str
    side: str
    quantity: str
    price: str
    gmv: str
    executed_at: str
    source: str
    user_id: str | None
    actor: str | None
    note: str | None


class Booked(NamedTuple):
    """An execution with its row of the ledger; None where there is no such row."""

    tenant_id: int
    order_id: str
    row: ExecutionRow
    trade: BookedTrade | None


def iterate_orders(connection: Connection) -> Iterator[Order]:
    """Yield the orders by tenant and id."""
    columns = [_ORDERS.c[name] for name in COLUMNS]
    statement = select(*columns).order_by(_ORDERS.c.tenant_id, _ORDERS.c.id)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield order_of(tuple(row))


def iterate_moves(connection: Connection) -> Iterator[Move]:
    """Yield the histories by tenant, order and sequence."""
    columns = [_MOVES.c[name] for name in Move._fields]
    for row in connection.execute(select(*columns).order_by(*columns[:3]), execution_options=_CHUNK):
        yield Move._make(map(_as_text, row))


def iterate_executions(connection: Connection) -> Iterator[Booked]:
    """Yield the executions by tenant and order, with their trades."""
    here = _EXECUTIONS.c
    same = and_(_TRADES.c.tenant_id == here.tenant_id, _TRADES.c.trade_id == here.trade_id)
    columns: list[Any] = [here[name] for name in ExecutionRow._fields]
    columns += [_TRADES.c.trade_id, *(_TRADES.c[name] for name in BookedTrade._fields)]
    joined = _EXECUTIONS.outerjoin(_TRADES, same)
    statement = select(*columns).select_from(joined).order_by(here.tenant_id, here.order_id)
    count = len(ExecutionRow._fields)
    for row in connection.execute(statement, execution_options=_CHUNK):
        values = [_as_text(value) for value in row]
        execution, trade_id, trade = ExecutionRow._make(values[:count]), values[count], values[count + 1 :]
        booked = None if trade_id is None else BookedTrade._make(trade)
        yield Booked(execution.tenant_id, execution.order_id, execution, booked)


def iterate_order_events(connection: Connection) -> Iterator[tuple[int, int, str, str, str]]:
    """Yield id, tenant, type, payload and time of the events of orders. A payload begins with the id of its
    order, so that the order of payloads is that of tenants and orders.
    """
    payload = collate(_EVENTS.c.payload, "C") if connection.dialect.name != "sqlite" else _EVENTS.c.payload
    columns = [_EVENTS.c[name] for name in ("id", "tenant_id", "type", "payload", "created_at")]
    is_of_order = _EVENTS.c.type.like("order.%") | _EVENTS.c.type.in_(sorted(NON_MOVE_EVENTS))
    statement = select(*columns).where(is_of_order).order_by(_EVENTS.c.tenant_id, payload)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield (row[0], row[1], row[2], row[3], str(_as_text(row[4])))


def _as_text(value: Any) -> Any:
    """Return amounts and instants as canonical text: SQLite has it, PostgreSQL has decimals and instants."""
    if isinstance(value, Decimal):
        return fixed(value)
    return iso(value) if isinstance(value, datetime) else value


def iterate_unexecuted_trades(connection: Connection) -> Iterator[tuple[int, str, str]]:
    """Yield the trades (tenant id, trade id, order id) of orders that no execution tells of."""
    here = _EXECUTIONS.c
    same = and_(here.tenant_id == _TRADES.c.tenant_id, here.trade_id == _TRADES.c.trade_id)
    statement = (
        select(_TRADES.c.tenant_id, _TRADES.c.trade_id, _TRADES.c.order_id)
        .select_from(_TRADES.outerjoin(_EXECUTIONS, same))
        .where(_TRADES.c.order_id.isnot(None), here.execution_id.is_(None))
    )
    for row in connection.execute(statement):
        yield (row[0], row[1], row[2])
