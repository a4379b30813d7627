"""Queries of portfolios with their positions, now or earlier. Every query filters by tenant first."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import (
    BindParameter,
    Cast,
    ColumnElement,
    Connection,
    Text,
    bindparam,
    cast,
    func,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.ledger.models import NO_AMOUNT, Portfolio, PositionRow, Trade


class PortfolioSummary(NamedTuple):
    """A portfolio's counters and amounts (canonical text), now or at an earlier sequence number."""

    id: int
    name: str
    base_currency: str
    total_trades: int
    total_buys: int
    realized_pnl: str
    cash: str
    last_sequence: int
    opening_cash: str
    cost_schedule: str
    cost_schedules: str | None = None
    calendar: str | None = None
    enforce_sessions: str = "off"
    approval: str | None = None
    participation: str | None = None
    slippage: str | None = None
    moved_cash: str = NO_AMOUNT
    last_hash: str = ""
    carry_rates: str | None = None
    broker: str = "paper"
    broker_connection: str | None = None
    when_broker_down: str = "refuse"


class StatementPosition(NamedTuple):
    """A position of a portfolio. Amounts are canonical text.

    `currency` and `local_cost` are None if it trades in the portfolio's currency. `last_sequence` is its last
    row in the ledger.
    """

    symbol: str
    product: str
    quantity: str
    cost: str
    realized_pnl: str
    currency: str | None
    local_cost: str | None
    last_sequence: int


def load_portfolios_by_name(
    connection: Connection, tenant_id: int, name_keys: Sequence[str]
) -> dict[str, tuple[PortfolioSummary, list[StatementPosition]]]:
    """Return the existing portfolios by name key, each with its positions by symbol, including flat ones.

    One statement reads all.
    """
    summaries: dict[str, tuple[PortfolioSummary, list[StatementPosition]]] = {}
    width = len(PortfolioSummary._fields)
    names = {"tenant_id": tenant_id, "name_keys": list(name_keys)}
    for name_key, *row in connection.execute(_SUMMARIES_WITH_POSITIONS, names):
        if name_key not in summaries:
            summaries[name_key] = (PortfolioSummary._make(row[:width]), [])
        if row[width] is not None:
            summaries[name_key][1].append(StatementPosition._make(row[width:]))
    return summaries


def load_portfolio_summary(connection: Connection, tenant_id: int, portfolio_id: int) -> PortfolioSummary:
    """Return a portfolio that exists."""
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id)
    return PortfolioSummary._make(connection.execute(select(*_SUMMARY_COLUMNS).where(*conditions)).one())


def load_summary_at(
    connection: Connection, tenant_id: int, summary: PortfolioSummary, sequence: int
) -> PortfolioSummary:
    """Return the portfolio as it was after its row `sequence` (at least 1), by one indexed read."""
    columns = (
        Trade.trades_after,
        Trade.buys_after,
        _cast_to_text(Trade.portfolio_realized_pnl),
        _cast_to_text(Trade.cash_after),
        Trade.sequence,
    )
    condition = (Trade.tenant_id == tenant_id, Trade.portfolio_id == summary.id, Trade.sequence == sequence)
    row = connection.execute(select(*columns).where(*condition)).one()
    trades, buys, realized_pnl, cash, last = row
    return summary._replace(
        total_trades=trades, total_buys=buys, realized_pnl=realized_pnl, cash=cash, last_sequence=last
    )


def load_sequence_at(
    connection: Connection, tenant_id: int, summary: PortfolioSummary, instant: datetime
) -> int:
    """Return the sequence of the last row recorded at `instant` or before, 0 if there is none.

    A binary search finds it, because sequences have no gaps and `created_at` never decreases along them.
    """
    low, high = 0, summary.last_sequence
    while low < high:
        middle = (low + high + 1) // 2
        row_key = {"tenant_id": tenant_id, "portfolio_id": summary.id, "sequence": middle}
        if connection.execute(_CREATED_AT, row_key).scalar_one() <= instant:
            low = middle
        else:
            high = middle - 1
    return low


def load_positions_at(
    connection: Connection, tenant_id: int, summary: PortfolioSummary, sequence: int
) -> list[StatementPosition]:
    """Return the positions after row `sequence`. The last row of each symbol holds its position."""
    earlier = aliased(Trade)
    last = (
        select(func.max(earlier.sequence))
        .where(earlier.tenant_id == PositionRow.tenant_id, earlier.portfolio_id == PositionRow.portfolio_id)
        .where(earlier.symbol == PositionRow.symbol, earlier.product == PositionRow.product)
        .where(earlier.sequence <= sequence)
        .correlate(PositionRow)
        .scalar_subquery()
    )
    same_book = (Trade.tenant_id == PositionRow.tenant_id) & (Trade.portfolio_id == PositionRow.portfolio_id)
    columns = (Trade.position_quantity, Trade.position_cost, Trade.position_realized_pnl)
    local = (Trade.currency, _cast_to_text(Trade.position_local_cost), Trade.sequence)
    statement = (
        select(Trade.symbol, Trade.product, *map(_cast_to_text, columns), *local)
        .select_from(PositionRow)
        .join(Trade, same_book & (Trade.sequence == last))
        .where(PositionRow.tenant_id == tenant_id, PositionRow.portfolio_id == summary.id)
        .order_by(Trade.symbol, Trade.product)
    )
    return [StatementPosition._make(row) for row in connection.execute(statement)]


def list_portfolio_summaries(
    connection: Connection,
    tenant_id: int,
    part: str | None,
    limit: int,
    after: str | None,
    portfolios: frozenset[str] | None,
) -> list[PortfolioSummary]:
    """Return portfolios sorted by name.

    `part` matches a part of the name key, `after` is the name key of the last portfolio seen, `portfolios`
    are the name keys that the caller may see.
    """
    statement = select(*_SUMMARY_COLUMNS).where(
        Portfolio.tenant_id == tenant_id, *build_visibility_conditions(portfolios)
    )
    if part:
        statement = statement.where(Portfolio.name_key.contains(part, autoescape=True))
    if after is not None:
        statement = statement.where(Portfolio.name_key > after)
    return [
        PortfolioSummary._make(row)
        for row in connection.execute(statement.order_by(Portfolio.name_key).limit(limit))
    ]


def build_visibility_conditions(portfolios: frozenset[str] | None) -> list[ColumnElement[bool]]:
    """Return the conditions that limit a query to `portfolios`, name keys; None for all portfolios."""
    return [] if portfolios is None else [Portfolio.name_key.in_(sorted(portfolios))]


def _cast_to_text(
    amount: InstrumentedAttribute[Decimal] | InstrumentedAttribute[Decimal | None],
) -> Cast[str]:
    """Return the amount as text.

    Both databases write the canonical form, so no conversion through decimals is needed.
    """
    return cast(amount, Text)


_SUMMARY_COLUMNS = (
    Portfolio.id,
    Portfolio.name,
    Portfolio.base_currency,
    Portfolio.total_trades,
    Portfolio.total_buys,
    _cast_to_text(Portfolio.realized_pnl),
    _cast_to_text(Portfolio.cash),
    Portfolio.last_sequence,
    _cast_to_text(Portfolio.opening_cash),
    Portfolio.cost_schedule,
    Portfolio.cost_schedules,
    Portfolio.calendar,
    Portfolio.enforce_sessions,
    Portfolio.approval,
    _cast_to_text(Portfolio.participation),
    _cast_to_text(Portfolio.slippage),
    _cast_to_text(Portfolio.moved_cash),
    Portfolio.last_hash,
    Portfolio.carry_rates,
    Portfolio.broker,
    Portfolio.broker_connection,
    Portfolio.when_broker_down,
)
_POSITION_COLUMNS = (
    PositionRow.symbol,
    PositionRow.product,
    _cast_to_text(PositionRow.quantity),
    _cast_to_text(PositionRow.cost),
    _cast_to_text(PositionRow.realized_pnl),
    PositionRow.currency,
    _cast_to_text(PositionRow.local_cost),
    PositionRow.last_sequence,
)
_NAME_KEYS: BindParameter[str] = bindparam("name_keys", expanding=True)
_SUMMARIES_WITH_POSITIONS = (
    select(Portfolio.name_key, *_SUMMARY_COLUMNS, *_POSITION_COLUMNS)
    .outerjoin(
        PositionRow,
        (PositionRow.tenant_id == Portfolio.tenant_id) & (PositionRow.portfolio_id == Portfolio.id),
    )
    .where(Portfolio.tenant_id == bindparam("tenant_id"), Portfolio.name_key.in_(_NAME_KEYS))
    .order_by(PositionRow.symbol, PositionRow.product)
)
_CREATED_AT = select(Trade.created_at).where(
    Trade.tenant_id == bindparam("tenant_id"),
    Trade.portfolio_id == bindparam("portfolio_id"),
    Trade.sequence == bindparam("sequence"),
)
