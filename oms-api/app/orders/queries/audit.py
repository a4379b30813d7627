"""Orders for those who prove them: every row, in order, a part at a time."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Table, and_, select

from app.ledger.models import Trade
from app.orders.models import Execution, OrderEvent, OrderRecord
from app.orders.rules.rows import COLUMNS, Move, order_of
from app.orders.rules.values import Order

_ORDERS = cast("Table", OrderRecord.__table__)
_MOVES = cast("Table", OrderEvent.__table__)
_EXECUTIONS = cast("Table", Execution.__table__)
_TRADES = cast("Table", Trade.__table__)
_CHUNK = {"yield_per": 5_000}


class Booked(NamedTuple):
    """An execution with what its row of the ledger says; None where there is no such row."""

    tenant_id: int
    order_id: str
    execution_id: str
    quantity: Decimal
    value: Decimal
    trade_id: str
    trade_order_id: str | None
    trade_quantity: Decimal | None
    trade_gmv: Decimal | None
    note: str | None = None


def every_order(connection: Connection) -> Iterator[Order]:
    """Yield the orders by tenant and id."""
    columns = [_ORDERS.c[name] for name in COLUMNS]
    statement = select(*columns).order_by(_ORDERS.c.tenant_id, _ORDERS.c.id)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield order_of(tuple(row))


def every_move(connection: Connection) -> Iterator[Move]:
    """Yield the histories by tenant, order and sequence; instants are left out."""
    names = ("tenant_id", "order_id", "sequence", "from_status", "to_status")
    columns = [_MOVES.c[name] for name in names]
    statement = select(*columns).order_by(*columns[:3])
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield Move(row[0], row[1], row[2], row[3], row[4], at="", actor="")


def every_execution(connection: Connection) -> Iterator[Booked]:
    """Yield the executions by tenant and order, with their trades."""
    here = _EXECUTIONS.c
    same = and_(_TRADES.c.tenant_id == here.tenant_id, _TRADES.c.trade_id == here.trade_id)
    columns: list[Any] = [here.tenant_id, here.order_id, here.execution_id, here.quantity, here.value]
    columns += [here.trade_id, _TRADES.c.order_id, _TRADES.c.quantity, _TRADES.c.gmv, here.note]
    joined = _EXECUTIONS.outerjoin(_TRADES, same)
    statement = select(*columns).select_from(joined).order_by(here.tenant_id, here.order_id)
    for row in connection.execute(statement, execution_options=_CHUNK):
        yield Booked._make(row)


def unexecuted_trades(connection: Connection) -> Iterator[tuple[int, str, str]]:
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
