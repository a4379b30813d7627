"""Making and renaming portfolios."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.ledger.models import Portfolio


def name_of(connection: Connection, tenant_id: int, name_key: str) -> str | None:
    """Return the name, as it is written, of the tenant's portfolio; None where there is none."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    return connection.execute(select(Portfolio.name).where(*mine)).scalar_one_or_none()


def store_portfolio(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a portfolio."""
    connection.execute(insert(Portfolio).values(**values))


def rename_portfolio(
    connection: Connection, tenant_id: int, name_key: str, new_name: str, new_key: str
) -> None:
    """Give a portfolio another name; what was granted of it follows."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*mine).values(name=new_name, name_key=new_key))
