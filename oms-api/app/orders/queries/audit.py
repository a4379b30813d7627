"""Read all orders, their histories, executions and events for the verification, in chunks and in order."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, collate, func, select

from app.column_values import format_canonical
from app.events.models import Event
from app.events.queries import iterate_events
from app.orders.queries.tables import EXECUTIONS, ORDER_EVENTS, ORDERS, TRADES
from app.orders.rules.event_verification import UNRECORDED_EVENTS
from app.orders.rules.rows import (
    COLUMNS,
    EVENT_COLUMNS,
    ExecutionRow,
    OrderEvent,
    parse_order_row,
    unpack_order_history,
)
from app.orders.rules.values import Order
from app.timestamps import Timestamp

_EVENTS = cast("Table", Event.__table__)
_TRADE_OF_EXECUTION = (TRADES.c.tenant_id == EXECUTIONS.c.tenant_id) & (
    TRADES.c.trade_id == EXECUTIONS.c.trade_id
)
_CHUNK_OPTIONS = {"yield_per": 5_000}
_MAX_ID_LENGTH = 33  # of an order id and the quotation mark after it
ORDER_ID_PREFIX = '{"order_id":"'


class ExecutionTrade(NamedTuple):
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
    executed_at: Timestamp
    source: str
    user_id: str | None
    actor: str | None
    note: str | None


class BookedExecution(NamedTuple):
    """An execution with its trade, or None if the ledger has no such trade."""

    tenant_id: int
    order_id: str
    row: ExecutionRow
    trade: ExecutionTrade | None


class UnexecutedTrade(NamedTuple):
    """A trade of the ledger that names an order but has no execution."""

    tenant_id: int
    trade_id: str
    order_id: str


def iterate_orders(connection: Connection) -> Iterator[Order]:
    """Yield all orders, sorted by tenant and id."""
    columns = [ORDERS.c[name] for name in COLUMNS]
    statement = select(*columns).order_by(ORDERS.c.tenant_id, ORDERS.c.id)
    for row in connection.execute(statement, execution_options=_CHUNK_OPTIONS):
        yield parse_order_row(tuple(row))


def iterate_history(connection: Connection) -> Iterator[OrderEvent]:
    """Yield all changes of orders, sorted by tenant, order and sequence."""
    columns = [ORDER_EVENTS.c[name] for name in EVENT_COLUMNS]
    for row in connection.execute(select(*columns).order_by(*columns[:3]), execution_options=_CHUNK_OPTIONS):
        yield from unpack_order_history([*map(format_canonical, row)])


def iterate_executions(connection: Connection) -> Iterator[BookedExecution]:
    """Yield all executions with their trades, sorted by tenant and order."""
    executions = EXECUTIONS.c
    columns: list[Any] = [executions[name] for name in ExecutionRow._fields]
    columns += [TRADES.c.trade_id, *(TRADES.c[name] for name in ExecutionTrade._fields)]
    joined = EXECUTIONS.outerjoin(TRADES, _TRADE_OF_EXECUTION)
    statement = select(*columns).select_from(joined).order_by(executions.tenant_id, executions.order_id)
    count = len(ExecutionRow._fields)
    for row in connection.execute(statement, execution_options=_CHUNK_OPTIONS):
        values = [*map(format_canonical, row)]
        execution, trade_id, trade = ExecutionRow._make(values[:count]), values[count], values[count + 1 :]
        execution_trade = None if trade_id is None else ExecutionTrade._make(trade)
        yield BookedExecution(execution.tenant_id, execution.order_id, execution, execution_trade)


def iterate_published_events(connection: Connection) -> Iterator[tuple[int, int, str, str, Timestamp]]:
    """Yield the id, tenant id, type, payload and creation time of all events of orders.

    They are sorted by tenant and order. All events of a row belong to one order, and each payload begins with
    its id.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    whole = _EVENTS.c.payload + func.coalesce(_EVENTS.c.following, "")
    start = (func.instr if is_sqlite else func.strpos)(whole, ORDER_ID_PREFIX)
    order_id = func.substr(whole, start, len(ORDER_ID_PREFIX) + _MAX_ID_LENGTH)
    types = ("order.*", *sorted(UNRECORDED_EVENTS))
    order = (_EVENTS.c.tenant_id, order_id if is_sqlite else collate(order_id, "C"))
    for event_id, tenant_id, kind, payload, at in iterate_events(connection, types, order):
        yield event_id, tenant_id, kind, payload, Timestamp(format_canonical(at))


def iterate_unexecuted_trades(connection: Connection) -> Iterator[UnexecutedTrade]:
    """Yield the trades that name an order but have no execution."""
    executions = EXECUTIONS.c
    statement = (
        select(TRADES.c.tenant_id, TRADES.c.trade_id, TRADES.c.order_id)
        .select_from(TRADES.outerjoin(EXECUTIONS, _TRADE_OF_EXECUTION))
        .where(TRADES.c.order_id.isnot(None), executions.execution_id.is_(None))
    )
    yield from map(UnexecutedTrade._make, connection.execute(statement))
