"""Statements about the closes of portfolios' P&L days. Each one filters by tenant."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.database import RecordTable
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


_CLOSES = RecordTable(EquitySnapshot, StoredClose)


def find_last_close(
    connection: Connection, tenant_id: int, portfolio_id: int, until: datetime | None = None
) -> StoredClose | None:
    """Return the last close of a portfolio, at an instant or before if one is given, or None."""
    query = _CLOSES.select(tenant_id=tenant_id, portfolio_id=portfolio_id, kind="close")
    query = query.where(EquitySnapshot.kind != INTERVAL)  # so that the partial index serves it
    if until is not None:
        query = query.where(EquitySnapshot.at <= until)
    return next(iter(_CLOSES.read(connection, query.order_by(EquitySnapshot.at.desc()).limit(1))), None)
