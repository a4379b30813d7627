"""Create and rename portfolios in the database."""

from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, select, update

from app.column_values import format_canonical
from app.ledger.models import Portfolio
from app.ledger.rules.settings import PortfolioSettings


class PortfolioDetails(NamedTuple):
    """The values of a portfolio that a change updates, or is compared with."""

    name: str
    base_currency: str
    opening_cash: Decimal
    settings: PortfolioSettings


def find_portfolio_details(connection: Connection, tenant_id: int, name_key: str) -> PortfolioDetails | None:
    """Return the portfolio's name and settings, None if there is no such portfolio."""
    columns = (Portfolio.name, Portfolio.base_currency, Portfolio.opening_cash)
    names = (getattr(Portfolio, name) for name in PortfolioSettings._fields)
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    row = connection.execute(select(*columns, *names).where(*conditions)).one_or_none()
    if row is None:
        return None
    name, base_currency, opening_cash, *settings = row
    return PortfolioDetails(
        name, base_currency, opening_cash, PortfolioSettings._make(map(format_canonical, settings))
    )


def insert_portfolio(connection: Connection, values: dict[str, Any]) -> None:
    """Insert a portfolio."""
    connection.execute(insert(Portfolio).values(**values))


def rename_portfolio(
    connection: Connection, tenant_id: int, name_key: str, new_name: str, new_key: str
) -> None:
    """Rename a portfolio. Grants follow, because they refer to its row."""
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*conditions).values(name=new_name, name_key=new_key))


def update_settings(
    connection: Connection, tenant_id: int, name_key: str, settings: PortfolioSettings
) -> None:
    """Give a portfolio other settings, for later orders and reported trades."""
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    connection.execute(update(Portfolio).where(*conditions).values(**build_settings_values(settings)))


def build_settings_values(settings: PortfolioSettings) -> dict[str, Any]:
    """Return the values of the columns."""
    amounts = {name: getattr(settings, name) for name in ("participation", "slippage")}
    return settings._asdict() | {
        name: None if text is None else Decimal(text) for name, text in amounts.items()
    }
