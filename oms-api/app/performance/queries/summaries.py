"""Read the rows of the summary of a day. Every query filters by tenant first."""

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, select

from app.ledger.models import Portfolio, Trade
from app.ledger.rules.keys import PortfolioKey
from app.performance.rules.day_summaries import DayRow

_CHUNK = {"yield_per": 2_000}


def iterate_day_rows(
    connection: Connection, portfolio: PortfolioKey, start: datetime, end: datetime
) -> Iterator[DayRow]:
    """Yield the rows of the ledger that were recorded in (start, end]."""
    columns = (Trade.kind, Trade.realized_pnl, Trade.charges, Trade.cash_delta)
    statement = (
        select(*columns)
        .where(Trade.tenant_id == portfolio.tenant_id, Trade.portfolio_id == portfolio.portfolio_id)
        .where(Trade.created_at > start, Trade.created_at <= end)
    )
    yield from map(DayRow._make, connection.execute(statement, execution_options=_CHUNK))


def load_portfolio_names(connection: Connection, portfolios: Collection[PortfolioKey]) -> dict[int, str]:
    """Return the names of portfolios by their id."""
    tenants = {portfolio.tenant_id for portfolio in portfolios}
    ids = [portfolio.portfolio_id for portfolio in portfolios]
    statement = select(Portfolio.id, Portfolio.name).where(
        Portfolio.tenant_id.in_(tenants), Portfolio.id.in_(ids)
    )
    return {row.id: row.name for row in connection.execute(statement)}
