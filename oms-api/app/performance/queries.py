"""Statements about equity snapshots. Each one filters by tenant."""

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Select, Table, Text, func, literal_column, or_, select
from sqlalchemy import cast as cast_column
from sqlalchemy.orm import aliased

from app.clock import iso
from app.database import build_insert_missing
from app.database.bulk import Row, Write
from app.ledger.models import CashMovement, Portfolio, PositionRow, Trade
from app.ledger.rules.cash import FLOWS
from app.ledger.rules.equity import Baseline, PortfolioKey
from app.money import ZERO, fixed, product
from app.performance.models import EquitySnapshot
from app.performance.rules.curves import EquityCurve
from app.performance.rules.values import EquityPoint, KeptSnapshot, Snapshot

# SQLite uses a partial index only for a condition without a parameter.
_INTERVAL: ColumnElement[str] = literal_column("'interval'")
_SNAPSHOTS = cast("Table", EquitySnapshot.__table__)
_MICROSECONDS_LENGTH = 26  # of "2026-11-20 15:04:05.123456"


def find_baselines(
    connection: Connection, tenant_id: int, portfolio_ids: Sequence[int]
) -> dict[int, Baseline]:
    """Return the equity and flows at the last close of each portfolio that has one."""
    last, row = aliased(EquitySnapshot), EquitySnapshot
    latest = (
        select(func.max(last.at))
        .where(last.kind != _INTERVAL, last.kind == "close", last.tenant_id == row.tenant_id)
        .where(last.portfolio_id == row.portfolio_id)
        .correlate(row)
        .scalar_subquery()
    )
    statement = select(row.portfolio_id, row.equity, row.flows).where(
        row.tenant_id == tenant_id, row.portfolio_id.in_(portfolio_ids), row.kind == "close", row.at == latest
    )
    return {found[0]: Baseline(found[1], found[2]) for found in connection.execute(statement)}


class FlowInstant(NamedTuple):
    """When cash flowed into or out of a portfolio."""

    at: datetime
    portfolio_id: int


class PortfolioState(NamedTuple):
    """A portfolio as its row says, without its positions."""

    tenant_id: int
    id: int
    base_currency: str
    opening_cash: Decimal
    cash: Decimal
    moved_cash: Decimal
    realized_pnl: Decimal
    last_created_at: datetime | None


def list_portfolios_to_close(
    connection: Connection, calendar: str | None, at: datetime, limit: int
) -> list[PortfolioState]:
    """Return portfolios with that calendar that were there at the close and have no snapshot of it.

    They are sorted by their ids.
    """
    row = EquitySnapshot
    stored = (
        select(row.at)
        .where(row.kind != _INTERVAL, row.kind == "close", row.at == at)
        .where(row.tenant_id == Portfolio.tenant_id, row.portfolio_id == Portfolio.id)
        .exists()
    )
    mine = Portfolio.calendar.is_(None) if calendar is None else Portfolio.calendar == calendar
    return _list_states(connection, None, limit, mine, Portfolio.created_at <= at, ~stored)


def list_flows_without_snapshot(connection: Connection, since: datetime, limit: int) -> list[FlowInstant]:
    """Return the instants after `since` at which cash flowed and no snapshot is stored, in time order."""
    row, flow = EquitySnapshot, CashMovement
    stored = (
        select(row.at)
        .where(row.kind != _INTERVAL, row.kind == "flow", row.at == flow.created_at)
        .where(row.tenant_id == flow.tenant_id, row.portfolio_id == flow.portfolio_id)
        .exists()
    )
    statement = (
        select(flow.created_at, flow.portfolio_id)
        .where(flow.kind.in_(sorted(FLOWS)), flow.created_at > since, ~stored)
        .distinct()
        .order_by(flow.created_at, flow.portfolio_id)
        .limit(limit)
    )
    return [FlowInstant._make(found) for found in connection.execute(statement)]


def find_states(connection: Connection, portfolio_ids: Collection[int]) -> list[PortfolioState]:
    """Return portfolios by their ids."""
    return _list_states(connection, None, len(portfolio_ids), Portfolio.id.in_(portfolio_ids))


def find_moved_later(connection: Connection, states: Sequence[PortfolioState], at: datetime) -> set[int]:
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
) -> list[PortfolioState]:
    """Return portfolios with open positions, or with a row of the ledger after `since`, by their ids.

    `after` is the id of the last portfolio seen.
    """
    is_open = (
        select(PositionRow.symbol)
        .where(PositionRow.tenant_id == Portfolio.tenant_id, PositionRow.portfolio_id == Portfolio.id)
        .where(PositionRow.quantity != ZERO)
        .exists()
    )
    moves = or_(is_open, Portfolio.last_created_at > since)
    return _list_states(connection, after, limit, Portfolio.created_at <= at, moves)


def find_last_closes(
    connection: Connection, portfolios: Sequence[PortfolioKey]
) -> dict[PortfolioKey, datetime]:
    """Return the instant of the last close of each portfolio that has one."""
    row = EquitySnapshot
    ids = [one.portfolio_id for one in portfolios]
    tenants = {one.tenant_id for one in portfolios}
    statement = (
        select(row.tenant_id, row.portfolio_id, func.max(row.at))
        .where(row.kind != _INTERVAL, row.kind == "close")
        .where(row.tenant_id.in_(tenants), row.portfolio_id.in_(ids))
        .group_by(row.tenant_id, row.portfolio_id)
    )
    return {PortfolioKey(found[0], found[1]): found[2] for found in connection.execute(statement)}


def _list_states(
    connection: Connection, after: int | None, limit: int, *conditions: ColumnElement[bool]
) -> list[PortfolioState]:
    columns = (getattr(Portfolio, name) for name in PortfolioState._fields)
    statement = select(*columns).where(*conditions).order_by(Portfolio.id).limit(limit)
    if after is not None:
        statement = statement.where(Portfolio.id > after)
    return [PortfolioState._make(row) for row in connection.execute(statement)]


def build_snapshot_insert(snapshots: Sequence[Snapshot]) -> Write:
    """Return the statement that stores snapshots. Those that are stored already stay as they are."""
    rows: list[Row] = [
        (one.tenant_id, one.portfolio_id, iso(one.at), one.kind, *map(fixed, one.amounts))
        for one in snapshots
    ]
    return build_insert_missing(_SNAPSHOTS, Snapshot._fields, rows)


class Owner(NamedTuple):
    """A portfolio whose performance is read."""

    id: int
    name: str
    base_currency: str
    opening_cash: Decimal
    created_at: datetime
    last_sequence: int
    calendar: str | None


def find_owner(connection: Connection, tenant_id: int, name_key: str) -> Owner | None:
    """Return a portfolio by its name key, or None."""
    columns = (getattr(Portfolio, name) for name in Owner._fields)
    statement = select(*columns).where(Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    found = connection.execute(statement).one_or_none()
    return None if found is None else Owner._make(found)


def read_equity_curve(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime, *, closes: bool
) -> EquityCurve:
    """Return the points of an equity curve in [start, end], in time order.

    With `closes` alone those at closes and flows, else those at an interval too.
    """
    row = EquitySnapshot
    points = (
        select(row.at, row.equity, row.flows)
        .where(row.tenant_id == tenant_id, row.portfolio_id == portfolio_id, row.at >= start, row.at <= end)
        .order_by(row.at)
    )
    if closes:
        points = points.where(row.kind != _INTERVAL)
    instants, equities, paid_in = _join_columns(connection, points)
    return EquityCurve(instants, equities, paid_in)


def _join_columns(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[list[str]]:
    """Return the columns of a query as lists of text; the first is an instant.

    The database joins each column into one text, since many rows would take several times as long.
    """
    at, *others = statement.subquery().c
    is_text = connection.dialect.name == "sqlite"
    columns = (at if is_text else func.timezone("UTC", at), *others)
    joined = (func.aggregate_strings(cast_column(column, Text), ",") for column in columns)
    texts: Any = connection.execute(select(*joined)).one()  # None without rows
    if texts[0] is None:
        return [[] for _ in texts]
    instants, *amounts = texts
    split = instants.split(",") if is_text else _parse_instants(instants)
    return [split, *(text.split(",") for text in amounts)]


def _parse_instants(text: str) -> list[str]:
    """Return PostgreSQL's instants ("2026-11-20 15:04:05.5", …) as RFC 3339 with six decimals."""
    instants = text.replace(" ", "T").split(",")
    if len(text) == len(instants) * (_MICROSECONDS_LENGTH + 1) - 1:
        return [f"{instant}Z" for instant in instants]
    return [
        f"{instant if '.' in instant else instant + '.':0<{_MICROSECONDS_LENGTH}}Z" for instant in instants
    ]


def find_last_snapshot(
    connection: Connection, tenant_id: int, portfolio_id: int, at: datetime
) -> KeptSnapshot | None:
    """Return the last close or flow at or before an instant, or None."""
    statement = _kept(tenant_id, portfolio_id).where(EquitySnapshot.at <= at)
    last = statement.order_by(EquitySnapshot.at.desc()).limit(1)
    return next(map(_kept_snapshot, *_join_columns(connection, last)), None)


def list_kept_snapshots(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime
) -> list[KeptSnapshot]:
    """Return the closes and flows in (start, end], in time order."""
    row = EquitySnapshot
    statement = _kept(tenant_id, portfolio_id).where(row.at > start, row.at <= end).order_by(row.at)
    return list(map(_kept_snapshot, *_join_columns(connection, statement)))


def list_traded_values(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime
) -> list[Decimal]:
    """Return the values of the unreversed trades of (start, end], in the portfolio's currency."""
    reversal = aliased(Trade)
    is_undone = (
        select(reversal.trade_id)
        .where(reversal.tenant_id == Trade.tenant_id, reversal.reverses == Trade.trade_id)
        .correlate(Trade)
        .exists()
    )
    statement = (
        select(Trade.gmv, Trade.fx_rate)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(Trade.kind == "trade", Trade.created_at > start, Trade.created_at <= end, ~is_undone)
    )
    return [gmv if rate is None else product(gmv, rate) for gmv, rate in connection.execute(statement)]


def _kept(tenant_id: int, portfolio_id: int) -> Select[*tuple[Any, ...]]:
    """Return the query of closes and flows."""
    row = EquitySnapshot
    mine = (row.tenant_id == tenant_id, row.portfolio_id == portfolio_id, row.kind != _INTERVAL)
    return select(row.at, row.equity, row.flows, row.kind, row.gross_exposure, row.charges).where(*mine)


def _kept_snapshot(
    at: str, equity: str, flows: str, kind: str, gross_exposure: str, charges: str
) -> KeptSnapshot:
    point = EquityPoint(datetime.fromisoformat(at), float(equity), float(flows), kind == "close")
    return KeptSnapshot(point, float(gross_exposure), Decimal(charges))
