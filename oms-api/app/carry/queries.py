"""Statements about the portfolios that accrue interest and borrow fees."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, or_, select, update

from app.database import RecordTable
from app.ledger.models import Portfolio


class CarryPortfolio(NamedTuple):
    """A portfolio with its yearly rates as JSON, and the close up to which they are booked."""

    tenant_id: int
    id: int
    base_currency: str
    calendar: str | None
    carry_rates: str | None
    accrued_until: datetime | None
    created_at: datetime


_PORTFOLIOS = RecordTable(Portfolio, CarryPortfolio)


def list_carry_portfolios(connection: Connection, after: int, limit: int) -> list[CarryPortfolio]:
    """Return portfolios that have rates now or had some, after the id `after`, by id."""
    has_rates = or_(Portfolio.carry_rates.is_not(None), Portfolio.accrued_until.is_not(None))
    query = _PORTFOLIOS.select().where(Portfolio.id > after, has_rates)
    return _PORTFOLIOS.read(connection, query.order_by(Portfolio.id).limit(limit))


def find_accrued_until(connection: Connection, tenant_id: int, portfolio_id: int) -> datetime | None:
    """Return the close up to which interest and borrow fees of a portfolio are booked, or None."""
    statement = select(Portfolio.accrued_until).where(
        Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id
    )
    return connection.execute(statement).scalar_one()


def set_accrued_until(
    connection: Connection, tenant_id: int, portfolio_id: int, until: datetime | None
) -> None:
    """Set the close up to which interest and borrow fees of a portfolio are booked."""
    is_portfolio = (Portfolio.tenant_id == tenant_id, Portfolio.id == portfolio_id)
    connection.execute(update(Portfolio).where(*is_portfolio).values(accrued_until=until))
