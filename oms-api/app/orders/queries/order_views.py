"""Read orders for the API. Every statement filters by tenant first."""

from collections.abc import Set
from contextlib import nullcontext
from datetime import datetime
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    ScalarSelect,
    Select,
    Subquery,
    select,
    union,
)

from app.column_values import format_canonical
from app.database import forbid_full_sorts
from app.ids import build_first_trade_id
from app.orders.models import IS_FINAL, IS_OPEN, IS_UNFILLED
from app.orders.queries.tables import EXECUTIONS, ORDER_OF_PORTFOLIO, ORDERS, PORTFOLIOS
from app.orders.rules.contingency import PARENT_ROLES
from app.orders.rules.order_views import OrderView
from app.orders.rules.rows import COLUMNS, ExecutionRow, parse_order_row
from app.orders.rules.values import FINAL_STATUSES, Order, Status
from app.text import list_spellings

_ORDER_COLUMNS = tuple(ORDERS.c[name] for name in COLUMNS)


class OrderFilter(NamedTuple):
    """Filters of a list of orders; None matches all.

    `user` matches the ticket's user id or the actor who placed the order.
    """

    statuses: tuple[Status, ...] | None = None
    is_open: bool | None = None
    symbol: str | None = None
    portfolio_name_key: str | None = None
    side: str | None = None
    strategy: str | None = None
    user: str | None = None
    client_order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    portfolios: frozenset[str] | None = None


def select_orders_of_tenant(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's orders with their portfolios' names, for other queries to extend."""
    return (
        select(*_ORDER_COLUMNS, PORTFOLIOS.c.name.label("portfolio_name"))
        .select_from(ORDERS.join(PORTFOLIOS, ORDER_OF_PORTFOLIO))
        .where(ORDERS.c.tenant_id == tenant_id)
    )


def list_orders(
    connection: Connection, tenant_id: int, filters: OrderFilter, limit: int, after: str | None
) -> list[OrderView]:
    """Return orders, newest first. `after` is the id of the last order of the previous page.

    The page is selected from `orders` alone, and only the page is joined with portfolios. Without statistics,
    the planner would read all orders of the tenant for the join.
    """
    filter_conditions = _build_conditions(tenant_id, filters)
    conditions = [ORDERS.c.tenant_id == tenant_id, *filter_conditions]
    if after is not None:
        conditions.append(ORDERS.c.id < after)
    if alternatives := _list_alternatives(filters):
        newest = _select_newest_of_each(
            [[alternative, *conditions] for alternative in alternatives], limit
        ).subquery("found")
    elif _matches_few(filters):  # an index finds all of them, and then they are sorted
        newest = select(*_ORDER_COLUMNS).where(*conditions).offset(0).subquery("found")
    else:
        newest = (
            select(*_ORDER_COLUMNS)
            .where(*conditions)
            .order_by(ORDERS.c.id.desc())
            .limit(limit)
            .subquery("found")
        )
    with nullcontext() if filter_conditions else forbid_full_sorts(connection):
        return _list_views(connection, tenant_id, _select_page(newest, limit))


def list_open_orders_by_symbol(
    connection: Connection, tenant_id: int, symbols: Set[str]
) -> list[tuple[str, Order]]:
    """Return the open orders in the symbols that belong to a group, each with its portfolio's name key."""
    statement = (
        select(PORTFOLIOS.c.name_key, *_ORDER_COLUMNS)
        .select_from(ORDERS.join(PORTFOLIOS, ORDER_OF_PORTFOLIO))
        .where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.symbol.in_(sorted(symbols)), IS_OPEN)
        .where(ORDERS.c.group_id.isnot(None))
    )
    return [(row[0], parse_order_row(tuple(row)[1:])) for row in connection.execute(statement)]


def find_order(
    connection: Connection, tenant_id: int, order_id: str, portfolios: frozenset[str] | None
) -> OrderView | None:
    """Return one order if it is in one of the portfolios (name keys; None: all), else None."""
    statement = select_orders_of_tenant(tenant_id).where(
        ORDERS.c.id == order_id, *_build_portfolio_conditions(portfolios)
    )
    views = _list_views(connection, tenant_id, statement)
    return views[0] if views else None


def list_executions_of_order(connection: Connection, tenant_id: int, order_id: str) -> list[ExecutionRow]:
    """Return the order's executions, oldest first."""
    columns = (EXECUTIONS.c[name] for name in ExecutionRow._fields)
    statement = select(*columns).where(EXECUTIONS.c.tenant_id == tenant_id, EXECUTIONS.c.order_id == order_id)
    rows = connection.execute(statement.order_by(EXECUTIONS.c.trade_id))
    return [ExecutionRow._make(map(format_canonical, row)) for row in rows]


def _build_conditions(tenant_id: int, filters: OrderFilter) -> list[Any]:
    equal = {
        ORDERS.c.symbol: filters.symbol,
        ORDERS.c.side: filters.side,
        ORDERS.c.client_order_id: filters.client_order_id,
    }
    conditions: list[Any] = [column == value for column, value in equal.items() if value is not None]
    if filters.strategy is not None:
        conditions.append(ORDERS.c.strategy.in_(list_spellings(filters.strategy)))
    if filters.portfolio_name_key is not None:
        conditions.append(ORDERS.c.portfolio_id == _select_portfolio(tenant_id, filters.portfolio_name_key))
    if filters.portfolios is not None:
        conditions.append(_build_name_condition(tenant_id, sorted(filters.portfolios)))
    if filters.is_open is not None:
        conditions.append(IS_OPEN if filters.is_open else IS_FINAL)
    conditions += _build_status_conditions(filters.statuses)
    if filters.since is not None:  # ids begin with the time
        conditions.append(ORDERS.c.id >= _compute_first_id(filters.since))
    if filters.until is not None:
        conditions.append(ORDERS.c.id < _compute_first_id(filters.until))
    return conditions


def _build_status_conditions(statuses: tuple[Status, ...] | None) -> list[Any]:
    """Return the condition on the status, with the condition of the partial index that supports it."""
    if statuses is None:
        return []
    condition = ORDERS.c.status.in_(statuses) if len(statuses) > 1 else ORDERS.c.status == statuses[0]
    if Status.FILLED in statuses:
        return [condition]
    return [condition, IS_UNFILLED if FINAL_STATUSES & set(statuses) else IS_OPEN]


def _matches_few(filters: OrderFilter) -> bool:
    """Return whether only open orders, or orders with one client order id, match. They are few."""
    has_open_statuses_only = filters.statuses is not None and not FINAL_STATUSES & set(filters.statuses)
    return bool(filters.is_open) or has_open_statuses_only or filters.client_order_id is not None


def _list_alternatives(filters: OrderFilter) -> list[Any]:
    """Return alternative conditions, each supported by a separate index. An order matches at least one."""
    if filters.user is not None:
        column_spellings = product((ORDERS.c.user_id, ORDERS.c.actor), list_spellings(filters.user))
        return [column == user for column, user in column_spellings]
    statuses = filters.statuses or ()
    if len(statuses) > 1 and FINAL_STATUSES.issuperset(statuses):
        return [ORDERS.c.status == status for status in statuses]
    return []


def _select_newest_of_each(choices: list[list[Any]], limit: int) -> CompoundSelect[Any]:
    """Return the query of the newest orders of each alternative.

    Each alternative has a separate index, and a database does not combine several indexes for a sorted list.
    """
    newest = (
        select(*_ORDER_COLUMNS).where(*conditions).order_by(ORDERS.c.id.desc()).limit(limit)
        for conditions in choices
    )
    return union(*(select(statement.subquery()) for statement in newest))


def _select_page(newest: Subquery, limit: int) -> Select[Any]:
    """Return the query of the newest of the found orders, with the names of their portfolios."""
    page = select(newest).order_by(newest.c.id.desc()).limit(limit).subquery("page")
    is_portfolio = (PORTFOLIOS.c.tenant_id == page.c.tenant_id) & (PORTFOLIOS.c.id == page.c.portfolio_id)
    name = select(PORTFOLIOS.c.name).where(is_portfolio).scalar_subquery()  # read for each order of the page
    return select(page, name.label("portfolio_name")).order_by(page.c.id.desc())


def _select_portfolios(tenant_id: int) -> Select[Any]:
    return select(PORTFOLIOS.c.id).where(PORTFOLIOS.c.tenant_id == tenant_id)


def _build_name_condition(tenant_id: int, name_keys: list[str]) -> ColumnElement[bool]:
    if len(name_keys) == 1:
        return ORDERS.c.portfolio_id == _select_portfolio(tenant_id, name_keys[0])
    return ORDERS.c.portfolio_id.in_(
        _select_portfolios(tenant_id).where(PORTFOLIOS.c.name_key.in_(name_keys))
    )


def _select_portfolio(tenant_id: int, name_key: str) -> ScalarSelect[int]:
    """Return the id as a scalar subquery. The planner knows its selectivity, but not a join's."""
    return _select_portfolios(tenant_id).where(PORTFOLIOS.c.name_key == name_key).scalar_subquery()


def _build_portfolio_conditions(portfolios: frozenset[str] | None) -> list[Any]:
    return [] if portfolios is None else [PORTFOLIOS.c.name_key.in_(sorted(portfolios))]


def _compute_first_id(instant: datetime) -> str:
    return f"O{build_first_trade_id(instant)[1:]}"


def _list_views(connection: Connection, tenant_id: int, statement: Select[Any]) -> list[OrderView]:
    rows = [tuple(row) for row in connection.execute(statement)]
    orders = [(parse_order_row(row[:-1]), str(row[-1])) for row in rows]
    parent_ids = [order.id for order, _ in orders if order.role in PARENT_ROLES]
    legs_by_parent: dict[str, list[Order]] = {}
    if parent_ids:
        is_leg = (ORDERS.c.tenant_id == tenant_id) & ORDERS.c.parent_id.in_(parent_ids)
        for row in connection.execute(select(*_ORDER_COLUMNS).where(is_leg).order_by(ORDERS.c.id)):
            leg = parse_order_row(tuple(row))
            legs_by_parent.setdefault(leg.parent_id or "", []).append(leg)
    return [OrderView(order, name, tuple(legs_by_parent.get(order.id, ()))) for order, name in orders]
