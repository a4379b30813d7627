"""Queries of approval requests, for the order writer and the verification."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, or_, select

from app.column_values import convert_instant
from app.database import build_insert, load_matching_rows
from app.database.bulk import BulkWrite
from app.money import format_fixed
from app.orders.models import IS_WAITING, ApprovalRequestRecord
from app.orders.queries.tables import ORDER_EVENTS, ORDER_OF_PORTFOLIO, ORDERS, PORTFOLIOS
from app.orders.rules.approvals import ApprovalRequest
from app.orders.rules.rows import EVENT_COLUMNS, OrderEvent, unpack_order_history
from app.orders.rules.values import OrderKey, Status

REQUESTS = cast("Table", ApprovalRequestRecord.__table__)
_COLUMNS = ApprovalRequest._fields
_SELECTED_COLUMNS = [REQUESTS.c[name] for name in _COLUMNS]
_UNFILLED_FINAL_STATUSES = (Status.DENIED, Status.EXPIRED, Status.CANCELED)


def load_approval_requests(connection: Connection, keys: Sequence[OrderKey]) -> list[ApprovalRequest]:
    """Return the approval requests of the orders."""
    matching_rows = load_matching_rows(connection, REQUESTS, _COLUMNS, ("tenant_id", "order_id"), keys)
    return [_parse_request(row) for row in matching_rows]


def list_waiting_requests(
    connection: Connection, tenant_id: int, portfolio_name_keys: frozenset[str] | None, limit: int, after: str
) -> list[ApprovalRequest]:
    """Return at most `limit` requests of waiting orders, oldest first.

    `portfolio_name_keys` are the portfolios to search; None searches all. `after` is the id of the last order
    of the previous page, empty for the first page.
    """
    statement = _select_waiting().where(ORDERS.c.tenant_id == tenant_id, ORDERS.c.id > after)
    if portfolio_name_keys is not None:
        statement = statement.join(PORTFOLIOS, ORDER_OF_PORTFOLIO)
        statement = statement.where(PORTFOLIOS.c.name_key.in_(sorted(portfolio_name_keys)))
    rows = connection.execute(statement.order_by(ORDERS.c.id).limit(limit))
    return [_parse_request(row) for row in rows]


def list_expired_requests(
    connection: Connection, tenant_id: int, now: str, limit: int
) -> list[ApprovalRequest]:
    """Return at most `limit` requests of waiting orders that expired at `now` or before."""
    statement = _select_waiting().where(ORDERS.c.tenant_id == tenant_id, _has_expired(now))
    return [_parse_request(row) for row in connection.execute(statement.order_by(ORDERS.c.id).limit(limit))]


def select_tenants_with_expired_requests(now: str) -> Select[Any]:
    """Return the query of the tenants that have expired requests of waiting orders."""
    return _select_waiting().where(_has_expired(now)).with_only_columns(ORDERS.c.tenant_id)


def has_live_override(connection: Connection, tenant_id: int, order_id: str) -> bool:
    """Return whether an override of the denied order is waiting or was granted."""
    statement = (
        select(ORDERS.c.id)
        .select_from(REQUESTS.join(ORDERS, _is_same_order()))
        .where(REQUESTS.c.tenant_id == tenant_id, REQUESTS.c.override_of == order_id)
        .where(ORDERS.c.status.not_in(_UNFILLED_FINAL_STATUSES))
    )
    return connection.execute(statement).first() is not None


def insert_requests(requests: Iterable[ApprovalRequest]) -> BulkWrite:
    """Return the statement that inserts the requests."""
    return build_insert(REQUESTS, _COLUMNS, [_build_row(request) for request in requests])


def iterate_requests(connection: Connection) -> Iterator[ApprovalRequest]:
    """Yield all requests, for the verification."""
    for row in connection.execute(select(*_SELECTED_COLUMNS).order_by(*_SELECTED_COLUMNS[:2])):
        yield _parse_request(row)


def iterate_approval_history(connection: Connection) -> Iterator[tuple[int, OrderEvent]]:
    """Yield the changes to and from AWAITING_APPROVAL, each with the id of the order's portfolio."""
    awaiting_status = Status.AWAITING_APPROVAL
    is_its_order = (ORDERS.c.tenant_id == ORDER_EVENTS.c.tenant_id) & (ORDERS.c.id == ORDER_EVENTS.c.order_id)
    is_approval_move = or_(
        *(column == awaiting_status for column in (ORDER_EVENTS.c.from_status, ORDER_EVENTS.c.to_status)),
        ORDER_EVENTS.c.following.contains(awaiting_status),
    )
    statement = (
        select(ORDERS.c.portfolio_id, *(ORDER_EVENTS.c[name] for name in EVENT_COLUMNS))
        .select_from(ORDER_EVENTS.join(ORDERS, is_its_order))
        .where(is_approval_move)
    )
    for portfolio_id, *values in connection.execute(statement):
        for event in unpack_order_history([*map(convert_instant, values)]):
            if awaiting_status in {event.from_status, event.to_status}:
                yield portfolio_id, event


def _select_waiting() -> Select[Any]:
    return select(*_SELECTED_COLUMNS).select_from(REQUESTS.join(ORDERS, _is_same_order())).where(IS_WAITING)


def _is_same_order() -> Any:
    return (ORDERS.c.tenant_id == REQUESTS.c.tenant_id) & (ORDERS.c.id == REQUESTS.c.order_id)


def _has_expired(now: str) -> Any:
    return REQUESTS.c.expires_at <= datetime.fromisoformat(now)


def _build_row(request: ApprovalRequest) -> tuple[Any, ...]:
    return tuple(format_fixed(value) if isinstance(value, Decimal) else value for value in request)


def _parse_request(row: Sequence[Any]) -> ApprovalRequest:
    """Return the request of a row. Amounts and instants are text from SQLite."""
    request = ApprovalRequest._make(map(convert_instant, row))
    price_seen, max_move_percent = request.price_seen, Decimal(request.max_move_percent)
    return request._replace(
        price_seen=None if price_seen is None else Decimal(price_seen), max_move_percent=max_move_percent
    )
