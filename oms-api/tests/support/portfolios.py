"""Create portfolios before a test: orders need one."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from app.ids import generate_row_id
from app.ledger.queries.batch_statements import insert_portfolios
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.risk.queries.switches import load_opening_state
from app.text import name_key


def open_portfolio(connection: Connection, tenant_id: int, name: str, at: datetime) -> None:
    """Open a portfolio of a million where there is none of that name."""
    key = name_key(name)
    state = load_opening_state(connection, tenant_id, key)
    cash = Decimal(1_000_000)
    portfolio = build_portfolio(
        generate_row_id(), tenant_id, name, key, opening_cash=cash, trading_state=state
    )
    insert_portfolios(connection, [build_portfolio_row(portfolio, at)])
