"""Create and rename portfolios in the database."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from app.ledger.models import Portfolio


class Settings(NamedTuple):
    """What can be changed in a portfolio: its name, as it is written, and its cost schedule."""

    name: str
    cost_schedule: str


def find_settings(connection: Connection, tenant_id: int, name_key: str) -> Settings | None:
    """Return the settings None if there is no such portfolio."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    row = connection.execute(select(Portfolio.name, Portfolio.cost_schedule).where(*mine)).one_or_none()
    return None if row is None else Settings(*row)


def insert_portfolio(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a portfolio."""
    connection.execute(insert(Portfolio).values(**values))


def rename_portfolio(
    connection: Connection, tenant_id: int, name_key: str, new_name: str, new_key: str
) -> None:
    """Rename a portfolio. Grants follow, because they refer to its row."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*mine).values(name=new_name, name_key=new_key))


def set_cost_schedule(connection: Connection, tenant_id: int, name_key: str, schedule: str) -> None:
    """Give a portfolio another cost schedule, for later orders and reported trades."""
    mine = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*mine).values(cost_schedule=schedule))
