"""Statements about the closes of portfolios' P&L days. Each one filters by tenant."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, select

from app.performance.models import EquitySnapshot
from app.performance.queries import INTERVAL


class StoredClose(NamedTuple):
    """The snapshot of a close, as `models.EquitySnapshot` documents it."""

    at: datetime
    cash: Decimal
    market_value: Decimal
    gross_exposure: Decimal
    equity: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    charges: Decimal
    flows: Decimal
    currencies: str | None


_COLUMNS = tuple(getattr(EquitySnapshot, name) for name in StoredClose._fields)


def find_last_close(
    connection: Connection, tenant_id: int, portfolio_id: int, until: datetime | None = None
) -> StoredClose | None:
    """Return the last close of a portfolio, at an instant or before if one is given, or None."""
    row = EquitySnapshot
    statement = (
        select(*_COLUMNS)
        .where(row.tenant_id == tenant_id, row.portfolio_id == portfolio_id)
        .where(row.kind != INTERVAL, row.kind == "close")
        .order_by(row.at.desc())
        .limit(1)
    )
    if until is not None:
        statement = statement.where(row.at <= until)
    last_row = connection.execute(statement).first()
    return None if last_row is None else StoredClose._make(last_row)
