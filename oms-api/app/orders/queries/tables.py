"""The tables that statements about orders read, how they are joined, and how orders are selected."""

from typing import Any, cast

from sqlalchemy import Connection, Table, select, type_coerce
from sqlalchemy.types import NullType

from app.ledger.models import Portfolio, PositionRow, Trade
from app.orders.models import ExecutionRecord, OrderEventRecord, OrderRecord
from app.orders.rules.rows import COLUMNS, parse_order_row
from app.orders.rules.values import Order

ORDERS = cast("Table", OrderRecord.__table__)
ORDER_EVENTS = cast("Table", OrderEventRecord.__table__)
EXECUTIONS = cast("Table", ExecutionRecord.__table__)
PORTFOLIOS = cast("Table", Portfolio.__table__)
POSITIONS = cast("Table", PositionRow.__table__)
TRADES = cast("Table", Trade.__table__)

ORDER_OF_PORTFOLIO = (PORTFOLIOS.c.tenant_id == ORDERS.c.tenant_id) & (
    PORTFOLIOS.c.id == ORDERS.c.portfolio_id
)
EXECUTION_OF_ORDER = (ORDERS.c.tenant_id == EXECUTIONS.c.tenant_id) & (ORDERS.c.id == EXECUTIONS.c.order_id)
# Without conversion of the values, because `parse_order_row` converts them.
_COLUMNS = [type_coerce(ORDERS.c[name], NullType()).label(name) for name in COLUMNS]


def select_orders(connection: Connection, *conditions: Any) -> list[Order]:
    """Return the orders that meet the conditions, oldest first.

    They are sorted in Python, because with ORDER BY the planner could choose an index of all orders.
    """
    rows = connection.execute(select(*_COLUMNS).where(*conditions))
    return sorted(map(parse_order_row, rows), key=lambda order: order.id)
