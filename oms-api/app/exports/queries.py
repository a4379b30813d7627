"""Read trades and charges in pages, as text. Every query filters by tenant first.

The database writes amounts and instants as text: to convert millions of values in Python takes longer than to
read them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Text, cast, func, literal, null, select, type_coerce
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased

from app.database import forbid_full_sorts
from app.ledger.models import CashMovement, Portfolio, Trade
from app.ledger.queries.trades import list_period_conditions
from app.money import ZERO
from app.orders.models import ExecutionRecord

_INSTANT_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_NAME_INDEX, _CURRENCY_INDEX, _BASE_CURRENCY_INDEX = 3, 10, 14  # columns that are read with the portfolios
_QUANTITY_INDEX, _FREE_TEXT_INDEXES = 7, (3, 4, 5, 17, 18, 19, 21, 22, 25, 26)
_MONEY_COLUMN_BY_INDEX = {8: "price", 9: "gmv", 11: "fx_rate", 12: "charges", 13: "realized_pnl"}
_MONEY_FORMAT = "FM9999999999999990.00999999"  # 2 to 8 decimals, as `shorten_amount`
_CHARGE_KINDS = ("charges", "dp_charges")


class ExportFilter(NamedTuple):
    """The tenant and the filters of an export; None matches all.

    `since` is inclusive, `until` exclusive. `portfolios` are the name keys that the caller may see.
    """

    tenant_id: int
    portfolio_name_key: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    portfolios: frozenset[str] | None = None


def list_trades(
    connection: Connection,
    filters: ExportFilter,
    limit: int,
    after: str | None,
    *,
    only_charged: bool = False,
) -> Sequence[Any]:
    """Return trades with the columns of the export, newest first.

    `after` is the id of the last trade of the page before. `only_charged` leaves out trades without charges.
    """
    conditions = list_period_conditions(filters.since, filters.until)
    if only_charged:
        conditions.append(Trade.charges != ZERO)
    with forbid_full_sorts(connection):
        rows = connection.execute(_select_page(connection, filters, conditions, limit, after)).fetchall()
    return _add_portfolios(connection, filters.tenant_id, rows)


class TradeLines(NamedTuple):
    """A page of trades as CSV without the last line end, the number of rows, and the id of the last trade."""

    text: str
    row_count: int
    last_id: str


def read_trade_lines(
    connection: Connection, filters: ExportFilter, limit: int, after: str | None
) -> TradeLines | None:
    """Return the page of `list_trades` as one text. None if it is empty, or the database is SQLite.

    PostgreSQL writes the lines, which takes a fraction of the time of reading cells. Free text is quoted, but
    may be a formula.
    """
    if connection.dialect.name == "sqlite":
        return None
    lines = _select_lines(connection, filters, limit, after).subquery("lines").c
    separator = aggregate_order_by(literal("\r\n"), lines.trade_id.desc())
    statement = select(func.string_agg(lines.line, separator), func.count(), func.min(lines.trade_id))
    with forbid_full_sorts(connection):
        text, row_count, last_id = connection.execute(statement).one()
    return TradeLines(text, row_count, last_id) if row_count else None


class ChargeMovement(NamedTuple):
    """A cash movement that is a charge. `amount` and `created_at` are text."""

    portfolio_id: int
    sequence: int
    portfolio_name: str
    currency: str
    kind: str
    amount: str
    symbol: str | None
    reason: str | None
    created_at: str


def list_charge_movements(
    connection: Connection, filters: ExportFilter, limit: int, after: tuple[int, int] | None
) -> list[ChargeMovement]:
    """Return the cash movements that are charges, by portfolio, newest first.

    `after` is the portfolio id and the sequence number of the last movement of the page before.
    """
    columns = (
        CashMovement.portfolio_id, CashMovement.sequence, Portfolio.name, CashMovement.currency,
        CashMovement.kind, cast(CashMovement.amount, Text), CashMovement.symbol, CashMovement.reason,
        _format_instant(connection, CashMovement.created_at),
    )  # fmt: skip
    is_portfolio = (Portfolio.tenant_id == CashMovement.tenant_id) & (
        Portfolio.id == CashMovement.portfolio_id
    )
    statement = (
        select(*columns)
        .join(Portfolio, is_portfolio)
        .where(CashMovement.tenant_id == filters.tenant_id, CashMovement.kind.in_(_CHARGE_KINDS))
        .where(
            *_build_portfolio_conditions(filters), *_build_time_conditions(filters, CashMovement.created_at)
        )
        .order_by(CashMovement.portfolio_id, CashMovement.sequence.desc())
        .limit(limit)
    )
    if after is not None:
        is_older = (CashMovement.portfolio_id == after[0]) & (CashMovement.sequence < after[1])
        statement = statement.where(is_older | (CashMovement.portfolio_id > after[0]))
    return [ChargeMovement._make(row) for row in connection.execute(statement)]


def load_charge_components(
    connection: Connection, tenant_id: int, order_ids: Sequence[str]
) -> dict[str, str | None]:
    """Return the components of the charges (JSON text) of the orders' executions, by trade id."""
    statement = select(ExecutionRecord.trade_id, ExecutionRecord.charges).where(
        ExecutionRecord.tenant_id == tenant_id, ExecutionRecord.order_id.in_(order_ids)
    )
    return {row.trade_id: row.charges for row in connection.execute(statement)}


def _select_page(
    connection: Connection,
    filters: ExportFilter,
    conditions: list[ColumnElement[bool]],
    limit: int,
    after: str | None,
) -> Select[Any]:
    """Return the query of a page. Only its rows look up the reversal."""
    trade = _build_page(filters, conditions, limit, after)
    return select(*_build_columns(connection, trade)).order_by(trade.trade_id.desc())


def _select_lines(
    connection: Connection, filters: ExportFilter, limit: int, after: str | None
) -> Select[Any]:
    """Return the query of the id and the line of each trade of a page."""
    trade = _build_page(filters, list_period_conditions(filters.since, filters.until), limit, after)
    columns = _build_columns(connection, trade)
    columns[_QUANTITY_INDEX] = func.rtrim(func.rtrim(columns[_QUANTITY_INDEX], "0"), ".")
    columns[_NAME_INDEX], columns[_BASE_CURRENCY_INDEX] = Portfolio.name, Portfolio.base_currency
    columns[_CURRENCY_INDEX] = func.coalesce(trade.currency, Portfolio.base_currency)
    for index in _FREE_TEXT_INDEXES:
        columns[index] = literal('"') + func.replace(columns[index], '"', '""') + literal('"')
    for index, name in _MONEY_COLUMN_BY_INDEX.items():
        columns[index] = func.to_char(trade[name], _MONEY_FORMAT)
    cells = [part for column in columns for part in (literal(","), column)]
    is_portfolio = (Portfolio.tenant_id == trade.tenant_id) & (Portfolio.id == trade.portfolio_id)
    return select(trade.trade_id, func.concat(*cells[1:]).label("line")).join(Portfolio, is_portfolio)


def _build_page(
    filters: ExportFilter, conditions: list[ColumnElement[bool]], limit: int, after: str | None
) -> Any:
    """Return the columns of the trades of a page.

    A portfolio's trades are read by sequence, which has the order of the ids.
    """
    page = select(Trade).where(Trade.tenant_id == filters.tenant_id, *conditions)
    if filters.portfolio_name_key is not None:
        portfolio_id = _select_portfolios(filters).scalar_subquery()
        page = page.where(Trade.portfolio_id == portfolio_id).order_by(Trade.sequence.desc())
        if after is not None:
            last = select(Trade.sequence).where(Trade.tenant_id == filters.tenant_id, Trade.trade_id == after)
            page = page.where(Trade.sequence < last.scalar_subquery())
    else:
        page = page.order_by(Trade.trade_id.desc())
        if filters.portfolios is not None:
            page = page.where(Trade.portfolio_id.in_(_select_portfolios(filters)))
        if after is not None:
            page = page.where(Trade.trade_id < after)
    return page.limit(limit).subquery("page").c


def _add_portfolios(connection: Connection, tenant_id: int, rows: Sequence[Any]) -> Sequence[Any]:
    """Replace the ids of portfolios by their names and currencies.

    An instrument without a currency of its own has the portfolio's. One query for a page costs less than two
    look-ups for each row.
    """
    if not rows:
        return rows
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    ids, currencies = columns[_NAME_INDEX], columns[_CURRENCY_INDEX]
    statement = select(Portfolio.id, Portfolio.name, Portfolio.base_currency).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id.in_(set(ids))
    )
    portfolios = {row.id: row for row in connection.execute(statement)}
    names, bases = ({key: row[index] for key, row in portfolios.items()} for index in (1, 2))
    columns[_NAME_INDEX] = [names[key] for key in ids]
    columns[_BASE_CURRENCY_INDEX] = [bases[key] for key in ids]
    columns[_CURRENCY_INDEX] = [currency or bases[key] for currency, key in zip(currencies, ids, strict=True)]
    return list(zip(*columns, strict=True))


def _build_columns(connection: Connection, trade: Any) -> list[Any]:
    reversal = aliased(Trade)
    is_reversal = (reversal.tenant_id == trade.tenant_id) & (reversal.reverses == trade.trade_id)
    texts = {name: cast(trade[name], Text) for name in ("quantity", "price", "gmv", "charges")}
    return [
        trade.trade_id, trade.sequence, trade.kind,
        trade.portfolio_id, trade.symbol, trade.product, trade.side,
        texts["quantity"], texts["price"], texts["gmv"], trade.currency,
        cast(trade.fx_rate, Text), texts["charges"], cast(trade.realized_pnl, Text), null(),
        _format_instant(connection, trade.executed_at),
        _format_instant(connection, trade.created_at),
        trade.user_id, trade.actor, trade.source, trade.order_id, trade.note, trade.idempotency_key,
        trade.reverses,
        select(reversal.trade_id).where(is_reversal).scalar_subquery(),
        trade.backdated_reason, trade.request_id, trade.hash,
    ]  # fmt: skip


def _build_time_conditions(filters: ExportFilter, column: Any) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.since is not None:
        conditions.append(column >= filters.since)
    if filters.until is not None:
        conditions.append(column < filters.until)
    return conditions


def _select_portfolios(filters: ExportFilter) -> Select[Any]:
    return select(Portfolio.id).where(
        Portfolio.tenant_id == filters.tenant_id, *_build_portfolio_conditions(filters)
    )


def _build_portfolio_conditions(filters: ExportFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.portfolio_name_key is not None:
        conditions.append(Portfolio.name_key == filters.portfolio_name_key)
    if filters.portfolios is not None:
        conditions.append(Portfolio.name_key.in_(sorted(filters.portfolios)))
    return conditions


def _format_instant(connection: Connection, column: Any) -> Any:
    if connection.dialect.name == "sqlite":
        return type_coerce(column, Text)
    return func.to_char(func.timezone("UTC", column), _INSTANT_FORMAT)
