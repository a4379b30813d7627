"""Read the ledger for exports, portfolio by portfolio, in chunks."""

from typing import NamedTuple

from sqlalchemy import Connection, select

from app.ledger.models import Portfolio, Trade
from app.ledger.queries.canonical import format_trade
from app.ledger.rules.chain import COLUMNS, TradeRow


class LedgerHead(NamedTuple):
    """The last row of a portfolio's ledger."""

    portfolio_id: int
    sequence: int
    hash: str


class PortfolioHeads(NamedTuple):
    """The last rows of a portfolio's ledger and of its cash ledger."""

    tenant_id: int
    portfolio_id: int
    sequence: int
    hash: str
    cash_sequence: int
    cash_hash: str


def list_all_heads(connection: Connection) -> list[PortfolioHeads]:
    """Return the heads of all portfolios of the tenant scope. The sequence of an empty ledger is 0."""
    columns = (Portfolio.tenant_id, Portfolio.id, Portfolio.last_sequence, Portfolio.last_hash)
    rows = connection.execute(select(*columns, Portfolio.cash_sequence, Portfolio.cash_hash))
    return [PortfolioHeads._make(row) for row in rows]


def load_ledger_heads(connection: Connection, tenant_id: int) -> list[LedgerHead]:
    """Return the heads of the tenant's ledgers, sorted by portfolio id; empty ledgers are left out."""
    columns = (Portfolio.id, Portfolio.last_sequence, Portfolio.last_hash)
    condition = (Portfolio.tenant_id == tenant_id, Portfolio.last_sequence > 0)
    rows = connection.execute(select(*columns).where(*condition).order_by(Portfolio.id))
    return [LedgerHead._make(row) for row in rows]


def list_rows_between(
    connection: Connection, tenant_id: int, portfolio_id: int, after: int, until: int, limit: int
) -> list[TradeRow]:
    """Return a portfolio's rows after the sequence `after`, up to and including `until`, in order."""
    condition = (
        Trade.tenant_id == tenant_id,
        Trade.portfolio_id == portfolio_id,
        Trade.sequence > after,
        Trade.sequence <= until,
    )
    columns = (getattr(Trade, name) for name in COLUMNS)
    rows = connection.execute(select(*columns).where(*condition).order_by(Trade.sequence).limit(limit))
    return [format_trade(row) for row in rows]
