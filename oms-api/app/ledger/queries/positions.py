"""Read positions across portfolios."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Numeric, cast, select, tuple_
from sqlalchemy.orm import aliased

from app.ledger.models import Portfolio, PositionRow, Trade
from app.ledger.rules.marks import ListedPosition
from app.money import ZERO


@dataclass(frozen=True, slots=True)
class PositionFilter:
    """Filters of a list of positions; None matches all.

    `side` is "long" or "short". `portfolios` are the name keys that the caller may see.
    """

    portfolio_name_key: str | None = None
    symbol: str | None = None
    product: str | None = None
    side: str | None = None
    include_closed: bool = False
    portfolios: frozenset[str] | None = None


def list_positions(
    connection: Connection,
    tenant_id: int,
    filters: PositionFilter,
    limit: int,
    after: tuple[str, str, str] | None = None,
) -> list[ListedPosition]:
    """Return positions by portfolio, symbol and product. `after` is the key of the last position seen."""
    columns = (
        Portfolio.name_key, Portfolio.name, Portfolio.base_currency, PositionRow.symbol,
        PositionRow.product, PositionRow.quantity, PositionRow.cost, PositionRow.realized_pnl,
        PositionRow.currency, PositionRow.local_cost, PositionRow.opened_at, PositionRow.closed_at,
        PositionRow.tenant_id, PositionRow.portfolio_id, PositionRow.last_sequence,
    )  # fmt: skip
    sort_key = (Portfolio.name_key, PositionRow.symbol, PositionRow.product)
    is_same_portfolio = (Portfolio.tenant_id == PositionRow.tenant_id) & (
        Portfolio.id == PositionRow.portfolio_id
    )
    conditions = _build_conditions(filters)
    if after is not None:
        conditions.append(tuple_(*sort_key) > tuple_(*after))
    page = (
        select(*columns)
        .join(Portfolio, is_same_portfolio)
        .where(PositionRow.tenant_id == tenant_id, *conditions)
        .order_by(*sort_key)
        .limit(limit)
        .subquery()
    )
    last = aliased(Trade)
    is_last_row = (last.tenant_id == page.c.tenant_id) & (last.portfolio_id == page.c.portfolio_id)
    statement = (
        select(*list(page.c)[:12], last.price, last.executed_at, page.c.portfolio_id)
        .join(last, is_last_row & (last.sequence == page.c.last_sequence))
        .order_by(page.c.name_key, page.c.symbol, page.c.product)
    )
    return [ListedPosition._make(row) for row in connection.execute(statement)]


def _build_conditions(filters: PositionFilter) -> list[ColumnElement[bool]]:
    values_by_column = {
        Portfolio.name_key: filters.portfolio_name_key,
        PositionRow.symbol: filters.symbol,
        PositionRow.product: filters.product,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in values_by_column.items() if value is not None
    ]
    if filters.portfolios is not None:
        conditions.append(Portfolio.name_key.in_(sorted(filters.portfolios)))
    if filters.side is not None:
        quantity = cast(PositionRow.quantity, Numeric)  # SQLite holds text
        conditions.append(quantity > 0 if filters.side == "long" else quantity < 0)
    elif not filters.include_closed:
        conditions.append(PositionRow.quantity != ZERO)
    return conditions
