"""Create and rename portfolios in the database."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.ledger.models import Portfolio


def find_portfolio_name(connection: Connection, tenant_id: int, name_key: str) -> str | None:
    """Return the portfolio's name as written, None if there is no such portfolio."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return connection.execute(select(Portfolio.name).where(*mine)).scalar_one_or_none()


def insert_portfolio(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a portfolio."""
    connection.execute(insert(Portfolio).values(**values))


def rename_portfolio(
    connection: Connection, tenant_id: int, name_key: str, new_name: str, new_key: str
) -> None:
    """Rename a portfolio. Grants follow, because they refer to its row."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*mine).values(name=new_name, name_key=new_key))
