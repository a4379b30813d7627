"""Reading orders for those who look at them; every statement begins with the tenant."""

from collections.abc import Set
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Select, Table, select, union

from app.clock import iso
from app.ids import build_first_trade_id
from app.ledger.models import Portfolio
from app.money import fixed
from app.orders.models import IS_FINAL, IS_OPEN, IS_UNFILLED, Execution, OrderEvent, OrderRecord
from app.orders.rules.rows import COLUMNS, ExecutionRow, Move, order_of
from app.orders.rules.values import FINAL, Order, Role, Status
from app.text import list_spellings

ORDERS = cast("Table", OrderRecord.__table__)
PORTFOLIOS = cast("Table", Portfolio.__table__)
MOVES = cast("Table", OrderEvent.__table__)
EXECUTIONS = cast("Table", Execution.__table__)


class Listed(NamedTuple):
    """An order with its portfolio's name, and the orders that wait for it."""

    order: Order
    portfolio_name: str
    legs: tuple[Order, ...]


class OrderFilter(NamedTuple):
    """Which orders; None is any. `user` is whom the ticket names, or the person who placed it."""

    statuses: tuple[Status, ...] | None = None
    is_open: bool | None = None
    symbol: str | None = None
    portfolio_key: str | None = None
    side: str | None = None
    strategy: str | None = None
    user: str | None = None
    client_order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    portfolios: frozenset[str] | None = None


def orders_of(tenant_id: int) -> Select[Any]:
    """Return the tenant's orders with their portfolios' names, for other queries to build on."""
    home = (PORTFOLIOS.c.tenant_id == ORDERS.c.tenant_id) & (PORTFOLIOS.c.id == ORDERS.c.portfolio_id)
    columns = (ORDERS.c[name] for name in COLUMNS)
    return (
        select(*columns, PORTFOLIOS.c.name.label("portfolio_name"))
        .select_from(ORDERS.join(PORTFOLIOS, home))
        .where(ORDERS.c.tenant_id == tenant_id)
    )


def list_orders(
    connection: Connection, tenant_id: int, wanted: OrderFilter, limit: int, after: str | None
) -> list[Listed]:
    """Return orders, newest first, from before the order `after` on."""
    conditions = [ORDERS.c.tenant_id == tenant_id, *_conditions(tenant_id, wanted)]
    if after is not None:
        conditions.append(ORDERS.c.id < after)
    if alternatives := _alternatives(wanted):
        choices = [[one, *conditions] for one in alternatives]
        conditions = [ORDERS.c.id.in_(_newest_of_each(choices, limit))]
    elif _is_of_open(wanted):
        conditions = [ORDERS.c.id.in_(select(ORDERS.c.id).where(*conditions))]
    statement = orders_of(tenant_id).where(*conditions).order_by(ORDERS.c.id.desc()).limit(limit)
    return _listed(connection, tenant_id, statement)


def open_orders_in(connection: Connection, tenant_id: int, symbols: Set[str]) -> list[tuple[str, Order]]:
    """Return the open orders in the symbols that belong to a group, each with its portfolio's name key."""
    columns = (ORDERS.c[name] for name in COLUMNS)
    home = (PORTFOLIOS.c.tenant_id == ORDERS.c.tenant_id) & (PORTFOLIOS.c.id == ORDERS.c.portfolio_id)
    statement = (
        select(PORTFOLIOS.c.name_key, *columns)
        .select_from(ORDERS.join(PORTFOLIOS, home))
        .where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.symbol.in_(sorted(symbols)), IS_OPEN)
        .where(ORDERS.c.group_id.isnot(None))
    )
    return [(row[0], order_of(tuple(row)[1:])) for row in connection.execute(statement)]


def find_order(
    connection: Connection, tenant_id: int, order_id: str, portfolios: frozenset[str] | None
) -> Listed | None:
    """Return one order of the portfolios (name keys; None: all), or None."""
    statement = orders_of(tenant_id).where(ORDERS.c.id == order_id, *_within(portfolios))
    found = _listed(connection, tenant_id, statement)
    return found[0] if found else None


def moves_of(connection: Connection, tenant_id: int, order_id: str) -> list[Move]:
    """Return the order's history, oldest first."""
    columns = (MOVES.c[name] for name in Move._fields)
    statement = select(*columns).where(MOVES.c.tenant_id == tenant_id, MOVES.c.order_id == order_id)
    rows = connection.execute(statement.order_by(MOVES.c.sequence))
    return [Move._make(map(_canonical, row)) for row in rows]


def fills_of(connection: Connection, tenant_id: int, order_id: str) -> list[ExecutionRow]:
    """Return the order's executions, oldest first."""
    columns = (EXECUTIONS.c[name] for name in ExecutionRow._fields)
    statement = select(*columns).where(EXECUTIONS.c.tenant_id == tenant_id, EXECUTIONS.c.order_id == order_id)
    rows = connection.execute(statement.order_by(EXECUTIONS.c.trade_id))
    return [ExecutionRow._make(map(_canonical, row)) for row in rows]


def _conditions(tenant_id: int, wanted: OrderFilter) -> list[Any]:
    equal = {
        ORDERS.c.symbol: wanted.symbol,
        ORDERS.c.side: wanted.side,
        ORDERS.c.client_order_id: wanted.client_order_id,
    }
    conditions: list[Any] = [column == value for column, value in equal.items() if value is not None]
    if wanted.strategy is not None:
        conditions.append(ORDERS.c.strategy.in_(list_spellings(wanted.strategy)))
    if wanted.portfolio_key is not None:
        conditions.append(ORDERS.c.portfolio_id == _portfolio(tenant_id, wanted.portfolio_key))
    if wanted.portfolios is not None:
        conditions.append(_in_portfolios(tenant_id, sorted(wanted.portfolios)))
    if wanted.is_open is not None:
        conditions.append(IS_OPEN if wanted.is_open else IS_FINAL)
    conditions += _status_conditions(wanted.statuses)
    if wanted.since is not None:  # ids begin with the time
        conditions.append(ORDERS.c.id >= _first_id_at(wanted.since))
    if wanted.until is not None:
        conditions.append(ORDERS.c.id < _first_id_at(wanted.until))
    return conditions


def _status_conditions(statuses: tuple[Status, ...] | None) -> list[Any]:
    """Return the condition on the status, with the condition of the index that finds it."""
    if statuses is None:
        return []
    wanted = ORDERS.c.status.in_(statuses) if len(statuses) > 1 else ORDERS.c.status == statuses[0]
    if Status.FILLED in statuses:
        return [wanted]
    return [wanted, IS_UNFILLED if FINAL & set(statuses) else IS_OPEN]


def _is_of_open(wanted: OrderFilter) -> bool:
    """Tell whether open orders are asked for, which are few: found first, and then put in order."""
    return bool(wanted.is_open) or (wanted.statuses is not None and not FINAL & set(wanted.statuses))


def _alternatives(wanted: OrderFilter) -> list[Any]:
    """Return the conditions of which an order meets one, where each has an index of its own."""
    if wanted.user is not None:
        named = product((ORDERS.c.user_id, ORDERS.c.actor), list_spellings(wanted.user))
        return [column == user for column, user in named]
    statuses = wanted.statuses or ()
    if len(statuses) > 1 and FINAL.issuperset(statuses):
        return [ORDERS.c.status == status for status in statuses]
    return []


def _newest_of_each(choices: list[list[Any]], limit: int) -> Any:  # a statement
    """Return the ids of the newest orders of each choice of conditions: each choice has its index, and no
    database uses several for one sorted list.
    """
    newest = (
        select(ORDERS.c.id).where(*conditions).order_by(ORDERS.c.id.desc()).limit(limit)
        for conditions in choices
    )
    return union(*(select(found.subquery().c.id) for found in newest))


def _portfolios(tenant_id: int) -> Select[Any]:
    return select(PORTFOLIOS.c.id).where(PORTFOLIOS.c.tenant_id == tenant_id)


def _in_portfolios(tenant_id: int, name_keys: list[str]) -> Any:  # a condition
    if len(name_keys) == 1:
        return ORDERS.c.portfolio_id == _portfolio(tenant_id, name_keys[0])
    return ORDERS.c.portfolio_id.in_(_portfolios(tenant_id).where(PORTFOLIOS.c.name_key.in_(name_keys)))


def _portfolio(tenant_id: int, name_key: str) -> Any:  # a value: the planner need not guess at a join
    return _portfolios(tenant_id).where(PORTFOLIOS.c.name_key == name_key).scalar_subquery()


def _within(portfolios: frozenset[str] | None) -> list[Any]:
    return [] if portfolios is None else [PORTFOLIOS.c.name_key.in_(sorted(portfolios))]


def _first_id_at(instant: datetime) -> str:
    return f"O{build_first_trade_id(instant)[1:]}"


def _listed(connection: Connection, tenant_id: int, statement: Select[Any]) -> list[Listed]:
    rows = [tuple(row) for row in connection.execute(statement)]
    orders = [(order_of(row[:-1]), str(row[-1])) for row in rows]
    entries = [order.id for order, _ in orders if order.role in {Role.ENTRY, Role.CLOSING}]
    legs: dict[str, list[Order]] = {}
    if entries:
        waiting = orders_of(tenant_id).where(ORDERS.c.parent_id.in_(entries)).order_by(ORDERS.c.id)
        for row in connection.execute(waiting):
            leg = order_of(tuple(row)[:-1])
            legs.setdefault(leg.parent_id or "", []).append(leg)
    return [Listed(order, name, tuple(legs.get(order.id, ()))) for order, name in orders]


def _canonical(value: Any) -> Any:  # whatever a column holds
    if isinstance(value, Decimal):
        return fixed(value)
    return iso(value) if isinstance(value, datetime) else value
