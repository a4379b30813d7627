"""Queries of cancellations and of the portfolios in which they cancel."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import Connection, Table, select

from app.column_values import convert_instant
from app.database import build_insert, build_insert_missing, build_update, execute_writes
from app.database.bulk import BulkWrite
from app.ledger.rules.keys import PortfolioKey
from app.orders.models import IS_OPEN, CancellationRecord, PortfolioCancellationRecord
from app.orders.queries.tables import ORDER_OF_PORTFOLIO, ORDERS, PORTFOLIOS
from app.orders.rules.cancellations import CancellationFilter, StoredCancellation

_CANCELLATIONS = cast("Table", CancellationRecord.__table__)
_PORTFOLIO_CANCELLATIONS = cast("Table", PortfolioCancellationRecord.__table__)
_COLUMNS = StoredCancellation._fields
_SELECTED_COLUMNS = [_CANCELLATIONS.c[name] for name in _COLUMNS]
_KEY_COLUMNS = ("tenant_id", "cancellation_id", "portfolio_id")
_PART_CONDITION = (_PORTFOLIO_CANCELLATIONS.c.tenant_id == _CANCELLATIONS.c.tenant_id) & (
    _PORTFOLIO_CANCELLATIONS.c.cancellation_id == _CANCELLATIONS.c.id
)


class CancellationPortfolio(NamedTuple):
    """A portfolio in which a cancellation cancels orders."""

    key: PortfolioKey
    name: str


def list_portfolios_to_cancel_in(
    connection: Connection, tenant_id: int, filter_: CancellationFilter, visible: Collection[str] | None
) -> list[CancellationPortfolio]:
    """Return the portfolios with open orders that match the filter, by id.

    `visible` are the name keys of the portfolios that the caller may see, None for all.
    """
    statement = (
        select(PORTFOLIOS.c.id, PORTFOLIOS.c.name, PORTFOLIOS.c.name_key)
        .select_from(ORDERS.join(PORTFOLIOS, ORDER_OF_PORTFOLIO))
        .where(ORDERS.c.tenant_id == tenant_id, IS_OPEN)
        .where(*(ORDERS.c[name] == value for name, value in filter_._asdict().items() if value is not None))
        .distinct()
        .order_by(PORTFOLIOS.c.id)
    )
    return [
        CancellationPortfolio(PortfolioKey(tenant_id, portfolio_id), name)
        for portfolio_id, name, key in connection.execute(statement)
        if visible is None or key in visible
    ]


def insert_cancellation(
    connection: Connection, cancellation: StoredCancellation, portfolios: Sequence[CancellationPortfolio]
) -> StoredCancellation:
    """Store a cancellation with its parts. Return the earlier one if its idempotency key is in use."""
    execute_writes(connection, build_insert_missing(_CANCELLATIONS, _COLUMNS, [tuple(cancellation)]))
    stored = _find_by_key(connection, cancellation) if cancellation.idempotency_key else None
    if stored is not None and stored.id != cancellation.id:
        return stored
    if portfolios:
        parts = [
            (cancellation.tenant_id, cancellation.id, portfolio.key.portfolio_id) for portfolio in portfolios
        ]
        execute_writes(connection, build_insert(_PORTFOLIO_CANCELLATIONS, _KEY_COLUMNS, parts))
    return cancellation


def list_portfolios_of_cancellation(
    connection: Connection, cancellation: StoredCancellation
) -> list[CancellationPortfolio]:
    """Return the portfolios of a cancellation, by id."""
    is_its = (PORTFOLIOS.c.tenant_id == _PORTFOLIO_CANCELLATIONS.c.tenant_id) & (
        PORTFOLIOS.c.id == _PORTFOLIO_CANCELLATIONS.c.portfolio_id
    )
    statement = (
        select(PORTFOLIOS.c.id, PORTFOLIOS.c.name)
        .select_from(_PORTFOLIO_CANCELLATIONS.join(PORTFOLIOS, is_its))
        .where(
            _PORTFOLIO_CANCELLATIONS.c.tenant_id == cancellation.tenant_id,
            _PORTFOLIO_CANCELLATIONS.c.cancellation_id == cancellation.id,
        )
        .order_by(PORTFOLIOS.c.id)
    )
    return [
        CancellationPortfolio(PortfolioKey(cancellation.tenant_id, portfolio_id), name)
        for portfolio_id, name in connection.execute(statement)
    ]


def list_unfinished_cancellations(connection: Connection, before: datetime) -> list[StoredCancellation]:
    """Return the cancellations created before `before` that are not done in all portfolios, oldest first.

    They belong to any tenant that `connection` can read.
    """
    statement = (
        select(*_SELECTED_COLUMNS)
        .select_from(_CANCELLATIONS.join(_PORTFOLIO_CANCELLATIONS, _PART_CONDITION))
        .where(_PORTFOLIO_CANCELLATIONS.c.order_ids.is_(None), _CANCELLATIONS.c.created_at < before)
        .distinct()
        .order_by(_CANCELLATIONS.c.created_at, _CANCELLATIONS.c.id)
    )
    return [_parse(row) for row in connection.execute(statement)]


def find_canceled_order_ids(
    connection: Connection, cancellation_id: str, portfolio_key: PortfolioKey
) -> list[str] | None:
    """Return the ids of the orders that a cancellation canceled in a portfolio, None until it is done."""
    statement = select(_PORTFOLIO_CANCELLATIONS.c.order_ids).where(
        _PORTFOLIO_CANCELLATIONS.c.tenant_id == portfolio_key.tenant_id,
        _PORTFOLIO_CANCELLATIONS.c.cancellation_id == cancellation_id,
        _PORTFOLIO_CANCELLATIONS.c.portfolio_id == portfolio_key.portfolio_id,
    )
    order_ids_json = connection.execute(statement).scalar()
    return None if order_ids_json is None else orjson.loads(order_ids_json)


def build_part_update(
    cancellation_id: str, portfolio_key: PortfolioKey, order_ids: Sequence[str]
) -> BulkWrite:
    """Return the statement that marks a cancellation as done in a portfolio."""
    order_ids_json = orjson.dumps(order_ids).decode()
    row = (order_ids_json, portfolio_key.tenant_id, cancellation_id, portfolio_key.portfolio_id)
    return build_update(_PORTFOLIO_CANCELLATIONS, ("order_ids",), _KEY_COLUMNS, [row])


def _find_by_key(connection: Connection, cancellation: StoredCancellation) -> StoredCancellation | None:
    statement = select(*_SELECTED_COLUMNS).where(
        _CANCELLATIONS.c.tenant_id == cancellation.tenant_id,
        _CANCELLATIONS.c.idempotency_key == cancellation.idempotency_key,
    )
    row = connection.execute(statement).first()
    return None if row is None else _parse(row)


def _parse(row: Sequence[Any]) -> StoredCancellation:
    return StoredCancellation(*map(convert_instant, row))
