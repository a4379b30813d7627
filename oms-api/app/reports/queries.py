"""Read the ledger for reports, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, null, select

from app.ids import build_first_trade_id
from app.ledger.models import CashMovement, Portfolio, Trade
from app.ledger.queries.books import FILL, fill_of
from app.ledger.queries.reversals import is_unreversed
from app.ledger.rules.accounting import Side
from app.orders.models import OrderRecord
from app.reports.rules.explanation import BookedMovement, BookedTrade
from app.reports.rules.profit import BookedRow
from app.reports.rules.values import BookedFill, BookKey

_CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Filters of a report; None matches all.

    `since` is inclusive, `until` exclusive. `portfolios` are the name keys that the caller may see.
    """

    portfolio_key: str | None = None
    symbol: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    portfolios: frozenset[str] | None = None


def booked_rows(
    connection: Connection, tenant_id: int, filters: ReportFilter, *, with_strategies: bool = False
) -> Iterator[BookedRow]:
    """Yield the rows that were booked in the period, in the order of their booking."""
    strategy = OrderRecord.strategy if with_strategies else null()
    columns: tuple[Any, ...] = (
        *(Portfolio.name, Portfolio.base_currency, Trade.symbol, Trade.user_id, strategy),
        *(Trade.created_at, Trade.kind, Trade.realized_pnl, Trade.charges, Trade.cash_delta),
    )
    statement = select(*columns)
    if with_strategies:
        is_its_order = (OrderRecord.tenant_id == Trade.tenant_id) & (OrderRecord.id == Trade.order_id)
        statement = statement.outerjoin(OrderRecord, is_its_order)
    statement = _in_portfolios(statement, tenant_id, filters).where(*_booked_between(filters))
    for row in _stream(connection, statement.order_by(Trade.trade_id)):
        name, currency, symbol, user, strategy_name, created_at, kind, realized_pnl, charges, cash_delta = row
        yield BookedRow(
            *(name, currency, symbol, user, strategy_name, created_at.date(), kind == "trade"),
            *(realized_pnl, charges, abs(cash_delta + charges)),
        )


def unreversed_fills(
    connection: Connection, tenant_id: int, filters: ReportFilter
) -> Iterator[tuple[BookKey, Iterator[BookedFill]]]:
    """Yield each position's trades that no reversal undid, in the order of the ledger.

    The period of the filter does not apply. The caller must read the trades of a position before it asks for
    the next one.
    """
    columns: tuple[Any, ...] = (
        *(Portfolio.name, Trade.symbol, Trade.product, Portfolio.base_currency),
        *(Trade.trade_id, Trade.price, Trade.charges, *FILL),
    )
    statement = (
        _in_portfolios(select(*columns), tenant_id, filters)
        .where(is_unreversed())
        .order_by(Trade.portfolio_id, Trade.symbol, Trade.product, Trade.sequence)
    )
    for key, rows in groupby(_stream(connection, statement), lambda row: BookKey._make(row[:4])):
        yield key, (BookedFill(row[4], fill_of(row[7:]), row[5], row[6]) for row in rows)


def _in_portfolios(statement: Select[Any], tenant_id: int, filters: ReportFilter) -> Select[Any]:
    is_owner = (Portfolio.tenant_id == Trade.tenant_id) & (Portfolio.id == Trade.portfolio_id)
    conditions: list[ColumnElement[bool]] = []
    if filters.portfolios is not None:
        conditions.append(Portfolio.name_key.in_(sorted(filters.portfolios)))
    if filters.portfolio_key is not None:
        conditions.append(Portfolio.name_key == filters.portfolio_key)
    if filters.symbol is not None:
        conditions.append(Trade.symbol == filters.symbol)
    return statement.join(Portfolio, is_owner).where(Trade.tenant_id == tenant_id, *conditions)


def _booked_between(filters: ReportFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.since is not None:  # ids start with the time of recording, so their index narrows the search
        first = build_first_trade_id(filters.since)
        conditions += [Trade.created_at >= filters.since, Trade.trade_id >= first]
    if filters.until is not None:
        conditions.append(Trade.created_at < filters.until)
    return conditions


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    yield from connection.execute(statement, execution_options={"yield_per": _CHUNK})


class DayBounds(NamedTuple):
    """The instants between which a portfolio's rows count: after `start` up to `end`; None is no limit."""

    start: datetime | None
    end: datetime | None


def list_booked_trades(
    connection: Connection, tenant_id: int, portfolio_id: int, bounds: DayBounds
) -> list[BookedTrade]:
    """Return the rows of a portfolio's ledger that were booked in a period, in order."""
    columns = (Trade.currency, Trade.side, Trade.gmv, Trade.fx_rate, Trade.charges, Trade.cash_delta)
    statement = (
        select(*columns)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(*_within(Trade.created_at, bounds))
        .order_by(Trade.sequence)
    )
    if bounds.start is not None:
        statement = statement.where(Trade.trade_id >= build_first_trade_id(bounds.start))
    return [
        BookedTrade(currency, cash_delta + charges, charges, -Side(side).sign * gmv, rate)
        for currency, side, gmv, rate, charges, cash_delta in connection.execute(statement)
    ]


def list_booked_movements(
    connection: Connection, tenant_id: int, portfolio_id: int, bounds: DayBounds
) -> list[BookedMovement]:
    """Return the rows of a portfolio's cash ledger that were booked in a period."""
    row = CashMovement
    statement = (
        select(row.kind, row.amount)
        .where(row.tenant_id == tenant_id, row.portfolio_id == portfolio_id)
        .where(*_within(row.created_at, bounds))
    )
    return [BookedMovement._make(found) for found in connection.execute(statement)]


def _within(column: Any, bounds: DayBounds) -> list[ColumnElement[bool]]:  # a column of instants
    after = [] if bounds.start is None else [column > bounds.start]
    return after if bounds.end is None else [*after, column <= bounds.end]
