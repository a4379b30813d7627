"""Statements that read equity curves and the data of statistics. Each one filters by tenant."""

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, Text, bindparam, func, select
from sqlalchemy import cast as cast_column

from app.database import RecordTable
from app.ledger.models import Portfolio, Trade
from app.ledger.queries.reversals import build_unreversed_trade_condition
from app.money import multiply
from app.performance.models import EquitySnapshot
from app.performance.queries import INTERVAL
from app.performance.rules.curves import EquityCurve
from app.performance.rules.values import EquitySeries
from app.timestamps import Timestamp, parse_timestamp

_MICROSECONDS_LENGTH = 26  # of "2026-11-20 15:04:05.123456"
_PARAMETERS: dict[str, BindParameter[Any]] = {
    name: bindparam(name) for name in ("tenant_id", "portfolio_id", "start", "end")
}


class PortfolioTerms(NamedTuple):
    """A portfolio whose performance is read, without its amounts."""

    id: int
    name: str
    base_currency: str
    opening_cash: Decimal
    created_at: datetime
    last_sequence: int
    last_hash: str
    calendar: str | None


_TERMS = RecordTable(Portfolio, PortfolioTerms)


class TradedValue(NamedTuple):
    """When a trade was recorded, and its value in the portfolio's currency."""

    created_at: datetime
    value: Decimal


def find_portfolio_terms(connection: Connection, tenant_id: int, name_key: str) -> PortfolioTerms | None:
    """Return a portfolio by its name key, or None."""
    return _TERMS.find(connection, tenant_id=tenant_id, name_key=name_key)


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
    statement = _build_curve(connection.dialect.name, closes=closes, after_start=after_start)
    where = {"tenant_id": tenant_id, "portfolio_id": portfolio_id, "start": start, "end": end}
    instants, equities, flows = _join_columns(connection, statement, where)
    return EquityCurve(instants, equities, flows)


def count_snapshots(
    connection: Connection, tenant_id: int, portfolio_id: int, start: datetime, end: datetime, *, closes: bool
) -> int:
    """Return the number of points in [start, end], as `read_equity_curve` finds them."""
    where = {"tenant_id": tenant_id, "portfolio_id": portfolio_id, "start": start, "end": end}
    return int(connection.execute(_build_count(closes=closes), where).scalar_one())


@cache
def _build_count(*, closes: bool) -> Select[*tuple[Any, ...]]:
    """Return the query of the number of points of a curve."""
    row = EquitySnapshot
    is_in_range = (row.at >= _PARAMETERS["start"], row.at <= _PARAMETERS["end"])
    counted = select(func.count()).where(*_is_of_portfolio(), *is_in_range)
    return counted.where(row.kind != INTERVAL) if closes else counted


@cache
def _build_curve(dialect: str, *, closes: bool, after_start: bool) -> Select[*tuple[Any, ...]]:
    """Return the query of the points of a curve."""
    row, start = EquitySnapshot, _PARAMETERS["start"]
    points = (
        select(row.at, row.equity, row.flows)
        .where(*_is_of_portfolio(), row.at <= _PARAMETERS["end"])
        .where(row.at > start if after_start else row.at >= start)
        .order_by(row.at)
    )
    return _select_joined_columns(dialect, points.where(row.kind != INTERVAL) if closes else points)


@cache
def _select_closes_and_flows(dialect: str, *, is_last: bool) -> Select[*tuple[Any, ...]]:
    """Return the query of closes and flows in (start, end], or of the last one at `end` or before."""
    row = EquitySnapshot
    kept_snapshots = (
        select(row.at, row.equity, row.flows, row.kind, row.gross_exposure, row.charges)
        .where(*_is_of_portfolio(), row.kind != INTERVAL, row.at <= _PARAMETERS["end"])
        .order_by(row.at.desc() if is_last else row.at)
    )
    limited = kept_snapshots.limit(1) if is_last else kept_snapshots.where(row.at > _PARAMETERS["start"])
    return _select_joined_columns(dialect, limited)


def _is_of_portfolio() -> tuple[ColumnElement[bool], ...]:
    row = EquitySnapshot
    return (row.tenant_id == _PARAMETERS["tenant_id"], row.portfolio_id == _PARAMETERS["portfolio_id"])


def _select_joined_columns(dialect: str, statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return the query that joins each column of a query into one text, in its order.

    Reading many rows would take several times as long.
    """
    at, *other_columns = statement.subquery().c
    columns = (at if dialect == "sqlite" else func.timezone("UTC", at), *other_columns)
    return select(*(func.aggregate_strings(cast_column(column, Text), ",") for column in columns))


def _join_columns(
    connection: Connection, statement: Select[*tuple[Any, ...]], parameters: dict[str, Any]
) -> list[list[str]]:
    """Return the columns of a query of joined columns as lists of text; the first is an instant."""
    texts: Any = connection.execute(statement, parameters).one()  # None without rows
    if texts[0] is None:
        return [[] for _ in texts]
    instants, *amounts = texts
    is_text = connection.dialect.name == "sqlite"
    instant_texts = instants.split(",") if is_text else _parse_instants(instants)
    return [instant_texts, *(text.split(",") for text in amounts)]


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
    """Return the last close or flow at or before an instant, empty if there is none."""
    where = {"tenant_id": tenant_id, "portfolio_id": portfolio_id, "end": at}
    return _read_series(connection, _select_closes_and_flows(connection.dialect.name, is_last=True), where)


def list_closes_and_flows(
    connection: Connection, tenant_id: int, portfolio_id: int, start: Timestamp, end: datetime
) -> EquitySeries:
    """Return the closes and flows in (start, end], in time order."""
    where = {
        "tenant_id": tenant_id,
        "portfolio_id": portfolio_id,
        "start": parse_timestamp(start),
        "end": end,
    }
    return _read_series(connection, _select_closes_and_flows(connection.dialect.name, is_last=False), where)


def list_traded_values(
    connection: Connection,
    tenant_id: int,
    portfolio_id: int,
    start: datetime | None = None,
    end: datetime | None = None,
) -> list[TradedValue]:
    """Return the values of the unreversed trades in (start, end]; None is no limit."""
    statement = (
        select(Trade.created_at, Trade.gmv, Trade.fx_rate)
        .where(Trade.tenant_id == tenant_id, Trade.portfolio_id == portfolio_id)
        .where(build_unreversed_trade_condition())
    )
    if start is not None:
        statement = statement.where(Trade.created_at > start)
    if end is not None:
        statement = statement.where(Trade.created_at <= end)
    return [
        TradedValue(created_at, gmv if rate is None else multiply(gmv, rate))
        for created_at, gmv, rate in connection.execute(statement)
    ]


def _read_series(
    connection: Connection, statement: Select[*tuple[Any, ...]], parameters: dict[str, Any]
) -> EquitySeries:
    columns = _join_columns(connection, statement, parameters)
    instants, equities, flows, kinds, gross_exposures, charges = columns
    return EquitySeries(
        list(map(Timestamp, instants)),
        list(map(float, equities)),
        list(map(float, flows)),
        [kind == "close" for kind in kinds],
        list(map(float, gross_exposures)),
        charges,
    )
