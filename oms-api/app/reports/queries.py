"""Read the ledger for reports, in bounded memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, func, null, select

from app.column_values import format_canonical
from app.database import build_insert_missing
from app.database.bulk import BulkRow, BulkWrite
from app.ids import build_first_trade_id
from app.ledger.models import CashMovement, Portfolio, Trade
from app.ledger.queries.batch_statements import FILL_COLUMNS, parse_fill_row
from app.ledger.queries.corporate_actions import load_all_actions
from app.ledger.queries.reversals import build_reversed_condition
from app.ledger.queries.trades import list_period_conditions
from app.ledger.rules.accounting import Side
from app.ledger.rules.corporate_actions import (
    ACTION_ROWS,
    SPLIT,
    TRANSFER,
    CorporateActionTerms,
    FractionSale,
    Split,
    Step,
    TransferIn,
    parse_action_key,
    sort_by_effect,
)
from app.money import ZERO, divide
from app.orders.models import OrderRecord
from app.reports.models import DailyStatsRow
from app.reports.rules.explanation import BookedMovement, ExplainedTrade
from app.reports.rules.profit import BookedRow, DayKey, ProfitTotals
from app.reports.rules.values import BookedFill, BookedSplit, BookedStep, PositionIdentity
from app.timestamps import BEFORE_ALL

_CHUNK = 2_000
_DAILY_STATS = cast("Table", DailyStatsRow.__table__)


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Filters of a report; None matches all.

    `since` is inclusive, `until` exclusive. `portfolios` are the name keys that the caller may see.
    """

    portfolio_name_key: str | None = None
    symbol: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    portfolios: frozenset[str] | None = None


def iterate_booked_rows(
    connection: Connection, tenant_id: int, filters: ReportFilter, *, with_strategies: bool = False
) -> Iterator[BookedRow]:
    """Yield the rows that were booked in the period, in the order of their booking."""
    strategy = OrderRecord.strategy if with_strategies else null()
    columns: tuple[Any, ...] = (
        Portfolio.name, Portfolio.base_currency, Trade.symbol, Trade.user_id, strategy,
        Trade.created_at, Trade.kind, Trade.realized_pnl, Trade.charges, Trade.cash_delta,
    )  # fmt: skip
    statement = select(*columns)
    if with_strategies:
        is_its_order = (OrderRecord.tenant_id == Trade.tenant_id) & (OrderRecord.id == Trade.order_id)
        statement = statement.outerjoin(OrderRecord, is_its_order)
    period = list_period_conditions(filters.since, filters.until)
    statement = _filter_portfolios(statement, tenant_id, filters).where(*period)
    for row in _stream_rows(connection, statement.order_by(Trade.trade_id)):
        name, currency, symbol, user, strategy_name, created_at, kind, realized_pnl, charges, cash_delta = row
        yield BookedRow(
            name,
            currency,
            symbol,
            user,
            strategy_name,
            created_at.date(),
            kind == "trade",
            realized_pnl,
            charges,
            abs(cash_delta + charges),
        )


def iterate_unreversed_steps(
    connection: Connection, tenant_id: int, filters: ReportFilter
) -> Iterator[tuple[PositionIdentity, Iterable[BookedStep]]]:
    """Yield each position's trades and splits that no reversal undid, in the order of their effect.

    A symbol change is a trade at the average cost. The period of the filter does not apply. The caller must
    read the steps of a position before it asks for the next one.
    """
    columns: tuple[Any, ...] = (
        Portfolio.name, Trade.symbol, Trade.product, Portfolio.base_currency,
        Trade.trade_id, Trade.price, Trade.charges, Trade.kind, Trade.idempotency_key, *FILL_COLUMNS,
    )  # fmt: skip
    statement = (
        _filter_portfolios(select(*columns), tenant_id, filters)
        .where(Trade.kind != "reversal", ~build_reversed_condition())
        .order_by(Trade.portfolio_id, Trade.symbol, Trade.product, Trade.sequence)
    )
    actions = load_all_actions(connection, tenant_id)
    changed_symbols = {symbol for action in actions.values() for symbol in (action.symbol, action.new_symbol)}
    for key, rows in groupby(
        _stream_rows(connection, statement), lambda row: PositionIdentity._make(row[:4])
    ):
        read_steps = (
            partial(_sort_steps, actions=actions)
            if key.symbol in changed_symbols
            else partial(map, _read_fill)
        )
        yield key, read_steps(rows)


def _sort_steps(rows: Iterable[Any], actions: dict[str, CorporateActionTerms]) -> Iterator[BookedStep]:
    """Yield the steps of one position, which is held in memory."""
    steps = [(_read_step(row, actions), row) for row in rows]
    for step, row in sort_by_effect(steps, lambda step: step[0]):
        yield BookedSplit(step) if isinstance(step, Split) else _read_fill(row)


def _read_step(row: Any, actions: dict[str, CorporateActionTerms]) -> Step:
    fill = parse_fill_row(row[9:])
    at = fill.at or BEFORE_ALL
    if row.kind == SPLIT:
        return Split(at, actions[parse_action_key(row.idempotency_key) or ""].ratio)
    if row.kind == TRANSFER:
        return TransferIn(at, fill)
    return fill if parse_action_key(row.idempotency_key) is None else FractionSale(at, fill)


def _read_fill(row: Any) -> BookedFill:
    price = divide(row.gmv, row.quantity) if row.kind == TRANSFER else row.price
    return BookedFill(row.trade_id, parse_fill_row(row[9:]), price, row.charges)


def _filter_portfolios(statement: Select[Any], tenant_id: int, filters: ReportFilter) -> Select[Any]:
    is_owner = (Portfolio.tenant_id == Trade.tenant_id) & (Portfolio.id == Trade.portfolio_id)
    conditions = _list_portfolio_conditions(filters)
    if filters.symbol is not None:
        conditions.append(Trade.symbol == filters.symbol)
    return statement.join(Portfolio, is_owner).where(Trade.tenant_id == tenant_id, *conditions)


def _list_portfolio_conditions(filters: ReportFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.portfolios is not None:
        conditions.append(Portfolio.name_key.in_(sorted(filters.portfolios)))
    if filters.portfolio_name_key is not None:
        conditions.append(Portfolio.name_key == filters.portfolio_name_key)
    return conditions


def _stream_rows(connection: Connection, statement: Select[Any]) -> Iterator[Any]:
    yield from connection.execute(statement, execution_options={"yield_per": _CHUNK})


class DayBounds(NamedTuple):
    """The instants between which a portfolio's rows count: after `start` up to `end`; None: no limit."""

    start: datetime | None
    end: datetime | None


def list_booked_trades(
    connection: Connection, tenant_id: int, portfolio_id: int, bounds: DayBounds
) -> list[ExplainedTrade]:
    """Return the rows of a portfolio's ledger that were booked in a period, in order.

    Rows of corporate actions move no cash.
    """
    statement = (
        select(
            Trade.kind, Trade.currency, Trade.side, Trade.gmv, Trade.fx_rate, Trade.charges, Trade.cash_delta
        )
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(*_build_range_conditions(Trade.created_at, bounds))
        .order_by(Trade.sequence)
    )
    if bounds.start is not None:
        statement = statement.where(Trade.trade_id >= build_first_trade_id(bounds.start))
    trades = []
    for kind, currency, side, gmv, rate, charges, cash_delta in connection.execute(statement):
        local_cash = ZERO if kind in ACTION_ROWS else -Side(side).sign * gmv
        trades.append(ExplainedTrade(currency, cash_delta + charges, charges, local_cash, rate))
    return trades


def list_booked_movements(
    connection: Connection, tenant_id: int, portfolio_id: int, bounds: DayBounds
) -> list[BookedMovement]:
    """Return the rows of a portfolio's cash ledger that were booked in a period."""
    row = CashMovement
    statement = (
        select(row.kind, row.amount)
        .where(row.tenant_id == tenant_id, row.portfolio_id == portfolio_id)
        .where(*_build_range_conditions(row.created_at, bounds))
    )
    return [BookedMovement._make(row) for row in connection.execute(statement)]


def _build_range_conditions(
    column: Any, bounds: DayBounds
) -> list[ColumnElement[bool]]:  # a column of instants
    conditions = [] if bounds.start is None else [column > bounds.start]
    return conditions if bounds.end is None else [*conditions, column <= bounds.end]


class StoredDayTotals(NamedTuple):
    """The columns of a stored day, in canonical form."""

    date: str
    trades: int
    wins: int
    losses: int
    volume: str
    realized_pnl: str
    charges: str
    max_drawdown: str


class StatisticsPortfolio(NamedTuple):
    """A portfolio with stored days. `name_key` is None if the portfolio does not exist."""

    tenant_id: int
    id: int
    name_key: str | None


class StatisticsProgress(NamedTuple):
    """A portfolio with the last day that is stored, and the time of the last row of its ledger."""

    tenant_id: int
    id: int
    name_key: str
    created_at: datetime
    last_created_at: datetime | None
    last_day: str | None


def list_statistics_progress(
    connection: Connection, after: int, limit: int | None, tenant_id: int | None = None
) -> list[StatisticsProgress]:
    """Return portfolios after the id `after`, by id, of one tenant or of all that `connection` can read."""
    row = DailyStatsRow
    last = (
        select(func.max(row.date))
        .where(row.tenant_id == Portfolio.tenant_id, row.portfolio_id == Portfolio.id)
        .correlate(Portfolio)
        .scalar_subquery()
    )
    columns = (Portfolio.tenant_id, Portfolio.id, Portfolio.name_key, Portfolio.created_at)
    statement = (
        select(*columns, Portfolio.last_created_at, last)
        .where(Portfolio.id > after)
        .order_by(Portfolio.id)
        .limit(limit)
    )
    if tenant_id is not None:
        statement = statement.where(Portfolio.tenant_id == tenant_id)
    return list(map(StatisticsProgress._make, connection.execute(statement)))


def list_days(connection: Connection, tenant_id: int, filters: ReportFilter) -> dict[DayKey, ProfitTotals]:
    """Return the stored days of the portfolios of a filter, whose period consists of whole days."""
    row = DailyStatsRow
    is_owner = (Portfolio.tenant_id == row.tenant_id) & (Portfolio.id == row.portfolio_id)
    columns = (row.trades, row.wins, row.losses, row.volume, row.realized_pnl, row.charges, row.max_drawdown)
    statement = (
        select(row.date, Portfolio.name, Portfolio.base_currency, *columns)
        .join(Portfolio, is_owner)
        .where(row.tenant_id == tenant_id, *_list_portfolio_conditions(filters))
    )
    if filters.since is not None:
        statement = statement.where(row.date >= filters.since.date().isoformat())
    if filters.until is not None:
        statement = statement.where(row.date < filters.until.date().isoformat())
    return {
        DayKey(date.fromisoformat(day), name, currency): ProfitTotals(*totals)
        for day, name, currency, *totals in connection.execute(statement)
    }


def iterate_stored_days(
    connection: Connection,
) -> Iterator[tuple[StatisticsPortfolio, dict[str, StoredDayTotals]]]:
    """Yield each portfolio with its stored days by date, for the verification."""
    row = DailyStatsRow
    is_owner = (Portfolio.tenant_id == row.tenant_id) & (Portfolio.id == row.portfolio_id)
    columns = (getattr(row, name) for name in StoredDayTotals._fields)
    statement = (
        select(row.tenant_id, row.portfolio_id, Portfolio.name_key, *columns)
        .outerjoin(Portfolio, is_owner)
        .order_by(row.tenant_id, row.portfolio_id, row.date)
    )
    rows = connection.execute(statement).fetchall()
    for key, rows_of_portfolio in groupby(rows, lambda row: tuple(row[:3])):
        stored_days = [StoredDayTotals._make(map(format_canonical, row[3:])) for row in rows_of_portfolio]
        yield (StatisticsPortfolio(*key), {day_totals.date: day_totals for day_totals in stored_days})


def build_day_insert(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that stores days. Days that are already stored do not change."""
    return build_insert_missing(_DAILY_STATS, ("tenant_id", "portfolio_id", *StoredDayTotals._fields), rows)
