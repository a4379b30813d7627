"""Queries of trades. Every query filters by tenant first."""

from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    select,
)
from sqlalchemy.orm import aliased

from app.database import forbid_full_sorts
from app.ids import build_first_trade_id
from app.ledger.models import Portfolio, Trade
from app.ledger.queries.canonical import format_trade
from app.ledger.queries.portfolios import build_visibility_conditions
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.text import list_spellings

_TRADE_COLUMNS = tuple(getattr(Trade, name) for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class ListedTrade:
    """A ledger row with values of other tables."""

    row: TradeRow
    portfolio_name: str
    reversed_by: str | None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    """Filters of a list of trades; None matches all.

    `since` is inclusive, `until` exclusive. `portfolios` are the name keys that the caller may see.
    """

    symbol: str | None = None
    portfolio_name_key: str | None = None
    side: str | None = None
    user_id: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    idempotency_key: str | None = None
    portfolios: frozenset[str] | None = None


def select_trades(tenant_id: int) -> Select[Any]:
    """Return the query of the tenant's trades: `COLUMNS`, the portfolio's name, and the reversal's id."""
    reversal = aliased(Trade)
    reversed_trade = (reversal.tenant_id == Trade.tenant_id) & (reversal.reverses == Trade.trade_id)
    is_same_portfolio = (Portfolio.tenant_id == Trade.tenant_id) & (Portfolio.id == Trade.portfolio_id)
    return (
        select(*_TRADE_COLUMNS, Portfolio.name, reversal.trade_id)
        .join(Portfolio, is_same_portfolio)
        .outerjoin(reversal, reversed_trade)
        .where(Trade.tenant_id == tenant_id)
    )


def find_trade(
    connection: Connection, tenant_id: int, trade_id: str, portfolios: frozenset[str] | None
) -> ListedTrade | None:
    """Return one trade if it is in one of the portfolios (name keys; None: all), else None."""
    statement = select_trades(tenant_id).where(
        Trade.trade_id == trade_id, *build_visibility_conditions(portfolios)
    )
    row = connection.execute(statement).one_or_none()
    return _build_listed_trade(row) if row else None


def list_trades(
    connection: Connection, tenant_id: int, filters: TradeFilter, limit: int, skip: int, after: str | None
) -> list[ListedTrade]:
    """Return trades, newest first. `after` is the cursor position of the last trade seen."""
    conditions = _build_conditions(tenant_id, filters)
    statement = select(*_TRADE_COLUMNS).where(Trade.tenant_id == tenant_id, *conditions).limit(limit)
    if filters.portfolio_name_key is not None:
        portfolio_id = _find_portfolio_id(connection, tenant_id, filters.portfolio_name_key)
        if portfolio_id is None:
            return []
        statement = statement.where(Trade.portfolio_id == portfolio_id).order_by(Trade.sequence.desc())
        beyond = [Trade.sequence < int(after)] if after else []
    else:
        statement = statement.order_by(Trade.trade_id.desc())
        beyond = [Trade.trade_id < after] if after else []
    page = statement.where(*beyond).offset(skip or None)
    if filters.idempotency_key is not None:  # they are few: found by their index before they are sorted
        page = page.order_by(None).limit(None).offset(skip)
    is_all = filters.portfolio_name_key is None and not conditions
    with forbid_full_sorts(connection) if is_all else nullcontext():
        return [_build_listed_trade(row) for row in connection.execute(_select_named_trades(page))]


def _select_named_trades(page: Select[Any]) -> Select[Any]:
    """Return the trades of a page as `select_trades` does: two look-ups each, no join of whole tables."""
    trade, reversal = page.subquery("page").c, aliased(Trade)
    is_portfolio = (Portfolio.tenant_id == trade.tenant_id) & (Portfolio.id == trade.portfolio_id)
    is_reversal = (reversal.tenant_id == trade.tenant_id) & (reversal.reverses == trade.trade_id)
    columns = (
        select(Portfolio.name).where(is_portfolio).scalar_subquery(),
        select(reversal.trade_id).where(is_reversal).scalar_subquery(),
    )
    return select(*trade, *columns).order_by(trade.trade_id.desc())


def get_cursor_position(trade: ListedTrade, filters: TradeFilter) -> str:
    """Return the cursor position from which a list with these filters continues after the trade."""
    return str(trade.row.sequence) if filters.portfolio_name_key is not None else trade.row.trade_id


def _build_conditions(tenant_id: int, filters: TradeFilter) -> list[ColumnElement[bool]]:
    values_by_column = {
        Trade.symbol: filters.symbol,
        Trade.side: filters.side,
        Trade.actor: filters.actor,
        Trade.idempotency_key: filters.idempotency_key,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in values_by_column.items() if value is not None
    ]
    if filters.user_id is not None:
        conditions.append(Trade.user_id.in_(list_spellings(filters.user_id)))
    if filters.portfolios is not None:
        portfolio_ids = select(Portfolio.id).where(
            Portfolio.tenant_id == tenant_id, *build_visibility_conditions(filters.portfolios)
        )
        conditions.append(Trade.portfolio_id.in_(portfolio_ids))
    return conditions + list_period_conditions(filters.since, filters.until)


def list_period_conditions(since: datetime | None, until: datetime | None) -> list[ColumnElement[bool]]:
    """Return the conditions that a trade was recorded in a period."""
    conditions: list[ColumnElement[bool]] = []
    if since is not None:  # ids start with the time of recording, so their index narrows the search
        conditions += [Trade.created_at >= since, Trade.trade_id >= build_first_trade_id(since)]
    if until is not None:
        conditions.append(Trade.created_at < until)
    return conditions


def _find_portfolio_id(connection: Connection, tenant_id: int, name_key: str) -> int | None:
    condition = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return connection.execute(select(Portfolio.id).where(*condition)).scalar_one_or_none()


def _build_listed_trade(row: Any) -> ListedTrade:  # a row of `select_trades`
    return ListedTrade(format_trade(row[: len(COLUMNS)]), row[-2], row[-1])
