"""Statements that read equity curves and the data of statistics. Each one filters by tenant."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, Text, func, select
from sqlalchemy import cast as cast_column

from app.ledger.models import Portfolio, Trade
from app.ledger.queries.reversals import is_unreversed
from app.money import product
from app.performance.models import EquitySnapshot
from app.performance.queries import INTERVAL
from app.performance.rules.curves import EquityCurve
from app.performance.rules.values import EquitySeries
from app.timestamps import Timestamp, parse_timestamp

_MICROSECONDS_LENGTH = 26  # of "2026-11-20 15:04:05.123456"


class PortfolioTerms(NamedTuple):
    """A portfolio whose performance is read, without its amounts."""

    id: int
    name: str
    base_currency: str
    opening_cash: Decimal
    created_at: datetime
    last_sequence: int
    calendar: str | None


def find_portfolio_terms(connection: Connection, tenant_id: int, name_key: str) -> PortfolioTerms | None:
    """Return a portfolio by its name key, or None."""
    columns = (getattr(Portfolio, name) for name in PortfolioTerms._fields)
    statement = select(*columns).where(Portfolio.tenant_id == tenant_id, Portfolio.name_key == name_key)
    found = connection.execute(statement).one_or_none()
    return None if found is None else PortfolioTerms._make(found)


def read_equity_curve(
    connection: Connection,
    tenant_id: int,
    portfolio_id: int,
    start: datetime,
    end: datetime,
    *,
    closes: bool,
    after_start: bool = False,
) -> EquityCurve:
    """Return the points of an equity curve in [start, end], in time order.

    With `closes`, these are the closes and flows; otherwise also the snapshots at an interval. With
    `after_start`, points at `start` itself are left out.
    """
    row = EquitySnapshot
    points = (
        select(row.at, row.equity, row.flows)
        .where(row.tenant_id == tenant_id, row.portfolio_id == portfolio_id, row.at <= end)
        .where(row.at > start if after_start else row.at >= start)
        .order_by(row.at)
    )
    if closes:
        points = points.where(row.kind != INTERVAL)
    instants, equities, flows = _join_columns(connection, points)
    return EquityCurve(instants, equities, flows)


def count_snapshots(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime, *, closes: bool
) -> int:
    """Return the number of points in [start, end], as `read_equity_curve` finds them."""
    row = EquitySnapshot
    statement = select(func.count()).where(
        row.tenant_id == tenant_id, row.portfolio_id == portfolio_id, row.at >= start, row.at <= end
    )
    if closes:
        statement = statement.where(row.kind != INTERVAL)
    return int(connection.execute(statement).scalar_one())


def _join_columns(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[list[str]]:
    """Return the columns of a query as lists of text; the first is an instant.

    The database joins each column into one text, in the order of the subquery. Reading many rows would take
    several times as long.
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
) -> EquitySeries:
    """Return the last close or flow at or before an instant, if there is one."""
    statement = _select_kept(tenant_id, portfolio_id).where(EquitySnapshot.at <= at)
    return _read_series(connection, statement.order_by(EquitySnapshot.at.desc()).limit(1))


def list_kept_snapshots(
    connection: Connection, tenant_id: int, portfolio_id: int, start: Timestamp, end: datetime
) -> EquitySeries:
    """Return the closes and flows in (start, end], in time order."""
    row = EquitySnapshot
    statement = _select_kept(tenant_id, portfolio_id).where(row.at > parse_timestamp(start), row.at <= end)
    return _read_series(connection, statement.order_by(row.at))


def list_traded_values(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime
) -> list[Decimal]:
    """Return the values of the unreversed trades of (start, end], in the portfolio's currency."""
    statement = (
        select(Trade.gmv, Trade.fx_rate)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(is_unreversed(), Trade.created_at > start, Trade.created_at <= end)
    )
    return [gmv if rate is None else product(gmv, rate) for gmv, rate in connection.execute(statement)]


def _select_kept(tenant_id: int, portfolio_id: int) -> Select[*tuple[Any, ...]]:
    """Return the query of closes and flows."""
    row = EquitySnapshot
    conditions = (row.tenant_id == tenant_id, row.portfolio_id == portfolio_id, row.kind != INTERVAL)
    return select(row.at, row.equity, row.flows, row.kind, row.gross_exposure, row.charges).where(*conditions)


def _read_series(connection: Connection, statement: Select[*tuple[Any, ...]]) -> EquitySeries:
    instants, equities, flows, kinds, gross_exposures, charges = _join_columns(connection, statement)
    return EquitySeries(
        list(map(Timestamp, instants)),
        list(map(float, equities)),
        list(map(float, flows)),
        [kind == "close" for kind in kinds],
        list(map(float, gross_exposures)),
        charges,
    )
