"""Statements about requests to brokers."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Table, select, update

from app.column_values import parse_instant
from app.database import build_insert
from app.database.bulk import BulkRow, BulkWrite
from app.orders.models import IS_FINAL, BrokerRequestRecord
from app.orders.queries.tables import ORDER_EVENTS, ORDERS, select_orders
from app.orders.rules.broker_requests import SENT_WITH_ENTRY, BrokerRequest, RequestKind, RequestStatus
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.rows import EVENT_COLUMNS, unpack_order_history
from app.orders.rules.values import WORKING_STATUSES, Order, Status

MAX_ENDED_ORDERS = 2000
REQUESTS = cast("Table", BrokerRequestRecord.__table__)
_NEW_COLUMNS = ("tenant_id", "connection", "order_id", "kind", "successor_id", "successor", "created_at")
_SENDING_COLUMNS = (
    "tenant_id",
    "connection",
    "order_id",
    "kind",
    "status",
    "attempts",
    "created_at",
    "sent_at",
)
_SELECTED_COLUMNS = [REQUESTS.c[name] for name in BrokerRequest._fields]
_INCOMPLETE_CONDITION = REQUESTS.c.completed_at.is_(None)


def build_request_insert(rows: Sequence[BulkRow]) -> BulkWrite:
    """Return the statement that inserts new requests. A row has the columns `_NEW_COLUMNS`."""
    return build_insert(REQUESTS, _NEW_COLUMNS, rows)


def build_sending_insert(rows: Sequence[tuple[int, str, str, str]]) -> BulkWrite:
    """Return the statement that inserts submissions as being sent.

    A row is the tenant id, the connection, the order id, and the time.
    """
    kind, status = RequestKind.SUBMIT.value, RequestStatus.SENDING.value
    complete_rows = [
        (tenant_id, connection, order_id, kind, status, 1, at, at)
        for tenant_id, connection, order_id, at in rows
    ]
    return build_insert(REQUESTS, _SENDING_COLUMNS, complete_rows)


def list_incomplete_requests(connection: Connection, tenant_id: int, name: str) -> list[BrokerRequest]:
    """Return the undone requests of a broker connection, oldest first."""
    conditions = (REQUESTS.c.tenant_id == tenant_id, REQUESTS.c.connection == name, _INCOMPLETE_CONDITION)
    return _select_requests(connection, *conditions)


def list_requests_of_order(connection: Connection, tenant_id: int, order_id: str) -> list[BrokerRequest]:
    """Return all requests of an order, oldest first."""
    conditions = (REQUESTS.c.tenant_id == tenant_id, REQUESTS.c.order_id == order_id)
    return _select_requests(connection, *conditions)


def update_request(connection: Connection, request: BrokerRequest, changes: dict[str, Any]) -> None:
    """Update the progress of a request.

    A request that was never read has no id: its row is found by its order.
    """
    is_match = REQUESTS.c.id == request.id if request.id else _is_submission([request.order_id])
    conditions = (REQUESTS.c.tenant_id == request.tenant_id, is_match)
    connection.execute(update(REQUESTS).where(*conditions).values(**changes))


def begin_request(connection: Connection, request: BrokerRequest, changes: dict[str, Any]) -> bool:
    """Mark a new request as being sent. Return False if it is not new any more: another process began it."""
    conditions = (REQUESTS.c.tenant_id == request.tenant_id, REQUESTS.c.id == request.id)
    is_new = REQUESTS.c.status == RequestStatus.NEW.value
    values = changes | {"status": RequestStatus.SENDING.value}
    return connection.execute(update(REQUESTS).where(*conditions, is_new).values(**values)).rowcount == 1


def return_submissions(connection: Connection, tenant_id: int, order_ids: Collection[str]) -> None:
    """Mark submissions as new. They were stored as being sent, but certainly were not sent."""
    conditions = (REQUESTS.c.tenant_id == tenant_id, _is_submission(order_ids))
    is_sending = REQUESTS.c.status == RequestStatus.SENDING.value
    values = {"status": RequestStatus.NEW.value, "attempts": 0, "sent_at": None}
    connection.execute(update(REQUESTS).where(*conditions, is_sending).values(**values))


def list_orders_at_broker(connection: Connection, tenant_id: int, portfolio_id: int) -> list[Order]:
    """Return the working orders of a portfolio and the exits that its broker holds for them, oldest first."""
    is_working = ORDERS.c.status.in_([status.value for status in sorted(WORKING_STATUSES)])
    is_held = (ORDERS.c.status == Status.HELD.value) & ORDERS.c.parent_id.is_not(None)
    conditions = (ORDERS.c.tenant_id == tenant_id, ORDERS.c.portfolio_id == portfolio_id)
    orders = select_orders(connection, *conditions, is_working | is_held)
    sent_ids = load_ids_sent_with_entry(
        connection, [order for order in orders if order.status is Status.HELD]
    )
    return [order for order in orders if order.status is not Status.HELD or order.id in sent_ids]


def list_ended_orders(
    connection: Connection, tenant_id: int, portfolio_id: int, since: datetime
) -> list[Order]:
    """Return the exits and the replacements of a portfolio that ended at `since` or later, oldest first.

    If there are more than `MAX_ENDED_ORDERS`, the newest are returned.
    """
    conditions = (ORDERS.c.tenant_id == tenant_id, ORDERS.c.portfolio_id == portfolio_id)
    is_exit = ORDERS.c.role.in_([role.value for role in sorted(EXIT_ROLES)])
    is_chosen = is_exit | ORDERS.c.replaces.is_not(None)
    ended = select_orders(connection, *conditions, is_chosen, IS_FINAL, ORDERS.c.updated_at >= since)
    return ended[-MAX_ENDED_ORDERS:]


def has_exits_pending_cancel(connection: Connection, order: Order) -> bool:
    """Return whether other exits of an order's position wait for the confirmation of their cancel."""
    columns = ("tenant_id", "portfolio_id", "symbol", "product", "side")
    is_same_exit = [ORDERS.c[name] == getattr(order, name) for name in columns]
    is_exit = ORDERS.c.role.in_([role.value for role in sorted(EXIT_ROLES)])
    is_ending = ORDERS.c.status == Status.PENDING_CANCEL.value
    statement = select(ORDERS.c.id).where(*is_same_exit, is_exit, is_ending, ORDERS.c.id != order.id).limit(1)
    return connection.execute(statement).first() is not None


def list_group(connection: Connection, order: Order) -> list[Order]:
    """Return the orders of an order's group, oldest first."""
    conditions = (ORDERS.c.tenant_id == order.tenant_id, ORDERS.c.group_id == order.group_id)
    return select_orders(connection, *conditions)


def load_ids_sent_with_entry(connection: Connection, orders: Collection[Order]) -> set[str]:
    """Return the ids of the orders that were sent to a broker in the requests of their entries."""
    if not orders:
        return set()
    columns = [ORDER_EVENTS.c[name] for name in EVENT_COLUMNS]
    is_tenant = ORDER_EVENTS.c.tenant_id.in_({order.tenant_id for order in orders})
    is_order = ORDER_EVENTS.c.order_id.in_([order.id for order in orders])
    rows = connection.execute(select(*columns).where(is_tenant, is_order))
    history = [event for row in rows for event in unpack_order_history(row)]
    return {event.order_id for event in history if event.reason == SENT_WITH_ENTRY}


def _is_submission(order_ids: Collection[str]) -> ColumnElement[bool]:
    return REQUESTS.c.order_id.in_(order_ids) & (REQUESTS.c.kind == RequestKind.SUBMIT.value)


def _select_requests(connection: Connection, *conditions: Any) -> list[BrokerRequest]:
    rows = connection.execute(select(*_SELECTED_COLUMNS).where(*conditions).order_by(REQUESTS.c.id))
    return [_parse(row) for row in rows]


def _parse(row: Sequence[Any]) -> BrokerRequest:
    values = dict(zip(BrokerRequest._fields, row, strict=True))
    values["kind"], values["status"] = RequestKind(values["kind"]), RequestStatus(values["status"])
    for name in ("created_at", "sent_at", "next_attempt_at"):
        values[name] = None if values[name] is None else parse_instant(values[name])
    return BrokerRequest(**values)
