"""Statements of the day close. Each one filters by tenant."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Table, func, select

from app.column_values import format_canonical
from app.database import RecordTable, build_insert, execute_writes
from app.database.bulk import BulkWrite
from app.day_close.models import DayCloseRow, DayFiguresRow, OpenBreakRow
from app.day_close.rules.values import DayClose, DayFigures, OpenBreak, SignedDay
from app.ledger.models import Portfolio, Trade
from app.orders.models import IS_OPEN, OrderRecord

DAYS = cast("Table", DayCloseRow.__table__)
FIGURES = cast("Table", DayFiguresRow.__table__)
BREAKS = cast("Table", OpenBreakRow.__table__)


class ClosedPortfolio(NamedTuple):
    """A portfolio whose day may have ended."""

    id: int
    name: str
    name_key: str
    calendar: str | None
    trading_state: str
    created_at: datetime


class OpenOrder(NamedTuple):
    """An order that is not final."""

    id: str
    side: str
    quantity: Decimal
    symbol: str
    type: str
    status: str


class StatementTrade(NamedTuple):
    """A row of the ledger in a statement. Amounts and instants are canonical text."""

    created_at: str
    trade_id: str
    kind: str
    symbol: str
    side: str
    quantity: str
    price: str
    currency: str | None
    cash_delta: str
    charges: str
    realized_pnl: str


_PORTFOLIOS = RecordTable(Portfolio, ClosedPortfolio)
_ORDERS = RecordTable(OrderRecord, OpenOrder)


def list_portfolios(connection: Connection, tenant_id: int) -> list[ClosedPortfolio]:
    """Return the portfolios of a tenant by name."""
    query = _PORTFOLIOS.select(tenant_id=tenant_id).order_by(Portfolio.name_key)
    return _PORTFOLIOS.read(connection, query)


def list_visible_ids(connection: Connection, tenant_id: int, keys: Iterable[str]) -> set[int]:
    """Return the ids of the portfolios with these name keys."""
    statement = select(Portfolio.id).where(
        Portfolio.tenant_id == tenant_id, Portfolio.name_key.in_(sorted(keys))
    )
    return set(connection.execute(statement).scalars())


def find_portfolio_id(connection: Connection, tenant_id: int, name_key: str) -> int | None:
    """Return the id of a portfolio, or None."""
    statement = select(Portfolio.id).where(Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return connection.execute(statement).scalar_one_or_none()


def list_open_orders(
    connection: Connection, tenant_id: int, portfolio_id: int, limit: int
) -> list[OpenOrder]:
    """Return the oldest open orders of a portfolio."""
    query = _ORDERS.select(tenant_id=tenant_id, portfolio_id=portfolio_id).where(IS_OPEN)
    return _ORDERS.read(connection, query.order_by(OrderRecord.id).limit(limit))


def count_trades(connection: Connection, tenant_id: int, portfolio_id: int, first: int, last: int) -> int:
    """Return the number of trades in a portfolio's ledger after the sequence `first` up to `last`."""
    statement = select(func.count()).where(*_is_between(tenant_id, portfolio_id, first, last))
    return connection.execute(statement.where(Trade.kind == "trade")).scalar_one()


def list_statement_trades(
    connection: Connection, tenant_id: int, portfolio_id: int, first: int, last: int, limit: int
) -> list[StatementTrade]:
    """Return the rows of a portfolio's ledger after the sequence `first` up to `last`."""
    columns = (getattr(Trade, name) for name in StatementTrade._fields)
    statement = (
        select(*columns)
        .where(*_is_between(tenant_id, portfolio_id, first, last))
        .order_by(Trade.sequence)
        .limit(limit)
    )
    return [StatementTrade._make(map(format_canonical, row)) for row in connection.execute(statement)]


def find_signed_day(connection: Connection, tenant_id: int, date: str) -> SignedDay | None:
    """Return a day that was signed off with its rows, or None."""
    days = _load_rows(connection, DAYS, DayClose, DAYS.c.tenant_id == tenant_id, DAYS.c.date == date)
    if not days:
        return None
    figures = _load_rows(
        connection, FIGURES, DayFigures, FIGURES.c.tenant_id == tenant_id, FIGURES.c.date == date
    )
    breaks = _load_rows(connection, BREAKS, OpenBreak, BREAKS.c.tenant_id == tenant_id, BREAKS.c.date == date)
    return SignedDay(days[0], figures, breaks)


def insert_signed_day(connection: Connection, signed: SignedDay, *further_writes: BulkWrite) -> None:
    """Store a day that is signed off, together with `further_writes`."""
    execute_writes(
        connection,
        build_insert(DAYS, DayClose._fields, [signed.day]),
        build_insert(FIGURES, DayFigures._fields, signed.figures),
        build_insert(BREAKS, OpenBreak._fields, signed.breaks),
        *further_writes,
    )


def list_signed_days(connection: Connection) -> list[SignedDay]:
    """Return all days of all tenants, also those of which only some rows are left, for the verification."""
    days = {(day.tenant_id, day.date): day for day in _load_rows(connection, DAYS, DayClose)}
    figures: dict[tuple[int, str], list[DayFigures]] = {}
    for day_figures in _load_rows(connection, FIGURES, DayFigures):
        figures.setdefault((day_figures.tenant_id, day_figures.date), []).append(day_figures)
    breaks: dict[tuple[int, str], list[OpenBreak]] = {}
    for open_break in _load_rows(connection, BREAKS, OpenBreak):
        breaks.setdefault((open_break.tenant_id, open_break.date), []).append(open_break)
    keys = sorted(days.keys() | figures.keys() | breaks.keys())
    return [
        SignedDay(days.get(key, _build_missing_day(*key)), figures.get(key, []), breaks.get(key, []))
        for key in keys
    ]


def _build_missing_day(tenant_id: int, date: str) -> DayClose:
    return DayClose(
        tenant_id=tenant_id,
        date=date,
        signed_by="",
        source="",
        signed_at="",
        note=None,
        currency="",
        rates="",
        digest="",
    )


def _is_between(tenant_id: int, portfolio_id: int, first: int, last: int) -> list[ColumnElement[bool]]:
    return [
        Trade.tenant_id == tenant_id,
        Trade.portfolio_id == portfolio_id,
        Trade.sequence > first,
        Trade.sequence <= last,
    ]


def _load_rows(
    connection: Connection, table: Table, kind: Any, *conditions: ColumnElement[bool]
) -> list[Any]:
    """Return the rows of a table as values of the named tuple `kind`, by primary key."""
    columns = [table.c[name] for name in kind._fields]
    statement = select(*columns).where(*conditions).order_by(*table.primary_key)
    return [kind._make(map(format_canonical, row)) for row in connection.execute(statement)]
