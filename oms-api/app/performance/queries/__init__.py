"""Statements about equity snapshots. Each one filters by tenant."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Numeric,
    Table,
    and_,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy import cast as cast_sql
from sqlalchemy.orm import aliased

from app.database import RecordTable, build_insert_missing
from app.database.bulk import BulkRow, BulkWrite
from app.ledger.models import CashMovement, Portfolio, PositionRow
from app.ledger.rules.cash import FLOW_KINDS
from app.ledger.rules.equity import Baseline
from app.ledger.rules.keys import PortfolioKey
from app.money import ZERO, format_fixed
from app.performance.models import EquitySnapshot
from app.performance.rules.values import Snapshot
from app.timestamps import format_timestamp

# SQLite uses a partial index only for a condition without a parameter.
INTERVAL: ColumnElement[str] = literal_column("'interval'")
_SNAPSHOTS = cast("Table", EquitySnapshot.__table__)
_OTHER = aliased(EquitySnapshot)


def load_baselines(
    connection: Connection, tenant_id: int, portfolio_ids: Sequence[int]
) -> dict[int, Baseline]:
    """Return the equity and flows at the last close of each portfolio that has one."""
    last, row = _OTHER, EquitySnapshot
    latest = (
        select(func.max(last.at))
        .where(last.kind != INTERVAL, last.kind == "close", last.tenant_id == Portfolio.tenant_id)
        .where(last.portfolio_id == Portfolio.id)
        .correlate(Portfolio)
        .scalar_subquery()
    )
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.id.in_(portfolio_ids))
    close = select(Portfolio.id, latest.label("at")).where(*conditions).subquery()  # one row per portfolio
    statement = (
        select(row.portfolio_id, row.equity, row.flows)
        .join(close, and_(row.portfolio_id == close.c.id, row.at == close.c.at))
        .where(row.tenant_id == tenant_id, row.kind != INTERVAL, row.kind == "close")
    )
    return {
        portfolio_id: Baseline(equity, flows) for portfolio_id, equity, flows in connection.execute(statement)
    }


class HighestClose(NamedTuple):
    """The close of a portfolio with the highest P&L so far, and its opening cash."""

    portfolio_id: int
    opening_cash: Decimal
    equity: Decimal
    flows: Decimal


def load_highest_closes(
    connection: Connection, tenant_id: int, portfolio_ids: Sequence[int]
) -> dict[int, HighestClose]:
    """Return the close with the highest P&L of each portfolio that has a close, by portfolio id."""
    other, row = _OTHER, EquitySnapshot
    highest = (
        select(other.at)
        .where(other.kind != INTERVAL, other.kind == "close", other.tenant_id == Portfolio.tenant_id)
        .where(other.portfolio_id == Portfolio.id)
        .order_by((cast_sql(other.equity, Numeric) - cast_sql(other.flows, Numeric)).desc())
        .limit(1)
        .correlate(Portfolio)
        .scalar_subquery()
    )
    conditions = (Portfolio.tenant_id == tenant_id, Portfolio.id.in_(portfolio_ids))
    close = select(Portfolio.id, Portfolio.opening_cash, highest.label("at")).where(*conditions).subquery()
    statement = (
        select(close.c.id, close.c.opening_cash, row.equity, row.flows)
        .join(close, and_(row.portfolio_id == close.c.id, row.at == close.c.at))
        .where(row.tenant_id == tenant_id, row.kind != INTERVAL, row.kind == "close")
    )
    return {row[0]: HighestClose._make(row) for row in connection.execute(statement)}


class FlowInstant(NamedTuple):
    """When cash flowed into or out of a portfolio."""

    at: datetime
    portfolio_id: int


class PortfolioTotals(NamedTuple):
    """The amounts in the row of a portfolio, without its positions."""

    tenant_id: int
    id: int
    base_currency: str
    opening_cash: Decimal
    cash: Decimal
    moved_cash: Decimal
    realized_pnl: Decimal
    last_created_at: datetime | None


_TOTALS = RecordTable(Portfolio, PortfolioTotals)


def list_portfolios_to_close(
    connection: Connection, calendar: str | None, at: datetime, limit: int
) -> list[PortfolioTotals]:
    """Return portfolios with the calendar that existed at the close and lack a snapshot of it, by id.

    Portfolios with a later close are left out: their calendar changed after it was stored.
    """
    row = EquitySnapshot
    has_snapshot = (
        select(row.at)
        .where(row.kind != INTERVAL, row.kind == "close", row.at >= at)
        .where(row.tenant_id == Portfolio.tenant_id, row.portfolio_id == Portfolio.id)
        .exists()
    )
    has_calendar = Portfolio.calendar.is_(None) if calendar is None else Portfolio.calendar == calendar
    return _list_totals(connection, None, limit, has_calendar, Portfolio.created_at <= at, ~has_snapshot)


def list_flows_without_snapshot(connection: Connection, since: datetime, limit: int) -> list[FlowInstant]:
    """Return the instants after `since` at which cash flowed and no snapshot is stored, in time order."""
    row, flow = EquitySnapshot, CashMovement
    has_snapshot = (
        select(row.at)
        .where(row.kind != INTERVAL, row.kind == "flow", row.at == flow.created_at)
        .where(row.tenant_id == flow.tenant_id, row.portfolio_id == flow.portfolio_id)
        .exists()
    )
    statement = (
        select(flow.created_at, flow.portfolio_id)
        .where(flow.kind.in_(sorted(FLOW_KINDS)), flow.created_at > since, ~has_snapshot)
        .distinct()
        .order_by(flow.created_at, flow.portfolio_id)
        .limit(limit)
    )
    return [FlowInstant._make(row) for row in connection.execute(statement)]


def load_portfolio_totals(connection: Connection, portfolio_ids: Collection[int]) -> list[PortfolioTotals]:
    """Return portfolios by their ids."""
    return _list_totals(connection, None, len(portfolio_ids), Portfolio.id.in_(portfolio_ids))


def load_ids_moved_after(connection: Connection, states: Sequence[PortfolioTotals], at: datetime) -> set[int]:
    """Return the ids of those portfolios whose cash was moved after an instant."""
    row = CashMovement
    statement = select(row.portfolio_id).where(
        row.tenant_id.in_({state.tenant_id for state in states}),
        row.portfolio_id.in_([state.id for state in states]),
        row.created_at > at,
    )
    return set(connection.execute(statement.distinct()).scalars())


def list_moving_portfolios(
    connection: Connection, since: datetime, at: datetime, after: int | None, limit: int
) -> list[PortfolioTotals]:
    """Return portfolios with open positions, or with a row of the ledger after `since`, by id.

    `after` is the id of the last portfolio seen.
    """
    is_open = (
        select(PositionRow.symbol)
        .where(PositionRow.tenant_id == Portfolio.tenant_id, PositionRow.portfolio_id == Portfolio.id)
        .where(PositionRow.quantity != ZERO)
        .exists()
    )
    moves = or_(is_open, Portfolio.last_created_at > since)
    return _list_totals(connection, after, limit, Portfolio.created_at <= at, moves)


def load_last_closes(
    connection: Connection, portfolios: Sequence[PortfolioKey]
) -> dict[PortfolioKey, datetime]:
    """Return the instant of the last close of each portfolio that has one."""
    row = EquitySnapshot
    ids = [portfolio.portfolio_id for portfolio in portfolios]
    tenants = {portfolio.tenant_id for portfolio in portfolios}
    statement = (
        select(row.tenant_id, row.portfolio_id, func.max(row.at))
        .where(row.kind != INTERVAL, row.kind == "close")
        .where(row.tenant_id.in_(tenants), row.portfolio_id.in_(ids))
        .group_by(row.tenant_id, row.portfolio_id)
    )
    return {
        PortfolioKey(tenant_id, portfolio_id): closed_at
        for tenant_id, portfolio_id, closed_at in connection.execute(statement)
    }


def _list_totals(
    connection: Connection, after: int | None, limit: int, *conditions: ColumnElement[bool]
) -> list[PortfolioTotals]:
    query = _TOTALS.select().where(*conditions).order_by(Portfolio.id).limit(limit)
    return _TOTALS.read(connection, query if after is None else query.where(Portfolio.id > after))


def build_snapshot_insert(snapshots: Sequence[Snapshot]) -> BulkWrite:
    """Return the statement that stores snapshots. Snapshots that are already stored do not change."""
    rows: list[BulkRow] = [
        (
            snapshot.tenant_id,
            snapshot.portfolio_id,
            format_timestamp(snapshot.at),
            snapshot.kind,
            *map(format_fixed, snapshot.amounts),
            snapshot.currencies,
        )
        for snapshot in snapshots
    ]
    return build_insert_missing(_SNAPSHOTS, Snapshot._fields, rows)


class OldSnapshots(NamedTuple):
    """A portfolio and the instant of its first interval snapshot that may be deleted, or None."""

    tenant_id: int
    portfolio_id: int
    first_at: datetime | None


def list_old_snapshots(
    connection: Connection, before: datetime, after: int, limit: int
) -> list[OldSnapshots]:
    """Return portfolios after the id `after`, by id, each with its first interval snapshot."""
    row = EquitySnapshot
    first = (
        select(row.at)
        .where(row.tenant_id == Portfolio.tenant_id, row.portfolio_id == Portfolio.id)
        .where(row.at < before, row.kind == INTERVAL)
        .order_by(row.at)
        .limit(1)
        .correlate(Portfolio)
        .scalar_subquery()
    )
    statement = select(Portfolio.tenant_id, Portfolio.id, first).where(Portfolio.id > after)
    return list(map(OldSnapshots._make, connection.execute(statement.order_by(Portfolio.id).limit(limit))))


def delete_interval_snapshots(connection: Connection, portfolio: OldSnapshots, before: datetime) -> None:
    """Delete the interval snapshots of a portfolio before an instant."""
    row = EquitySnapshot
    is_of_portfolio = (row.tenant_id == portfolio.tenant_id, row.portfolio_id == portfolio.portfolio_id)
    connection.execute(delete(row).where(*is_of_portfolio, row.at < before, row.kind == INTERVAL))
