"""Load the order of a stored request, and mark the request as being sent."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from app.brokers.rules.values import BrokerOrder
from app.instruments.queries import load_instruments
from app.instruments.rules import Instrument, InstrumentKey
from app.orders.queries import broker_requests as queries
from app.orders.queries.orders import list_order_events, load_orders_by_id
from app.orders.rules.broker_requests import (
    BrokerRequest,
    RequestKind,
    build_broker_order,
    can_replace_exits,
    choose_orders_sent_together,
    is_too_late,
)
from app.orders.rules.contingency import reduce_successor
from app.orders.rules.rows import parse_order_row
from app.orders.rules.values import FINAL_STATUSES, Order, OrderKey, Status
from app.orders.service.contingent_orders.groups import GROUP_ACTOR


class Obstacle(StrEnum):
    """The reason why a request is not sent."""

    ENDED = "ended"  # the order has ended
    TOO_LATE = "too late"
    TAKEN = "taken"  # another process sends it, or has sent it
    EXITS_END = "exits end"  # the current exits of the position work until the broker confirms their cancel


class SendingDecision(NamedTuple):
    """The order or successor to send, None for a cancel. Nothing is sent if there is an obstacle."""

    obstacle: Obstacle | None
    order: BrokerOrder | None


def begin_request(connection: Connection, request: BrokerRequest, now: datetime) -> SendingDecision:
    """Load the order to send, and mark the request as being sent, unless an obstacle prevents that."""
    order = load_orders_by_id(connection, [OrderKey(request.tenant_id, request.order_id)])[0]
    if _has_ended(order, request):
        return SendingDecision(Obstacle.ENDED, None)
    if is_too_late(request, now):
        return SendingDecision(Obstacle.TOO_LATE, None)
    order_to_send = order if request.kind is RequestKind.SUBMIT else None
    if order_to_send and can_replace_exits(order) and queries.has_exits_pending_cancel(connection, order):
        return SendingDecision(Obstacle.EXITS_END, None)
    if request.kind is RequestKind.REPLACE:
        order_to_send = _load_successor(connection, request, order)
    linked_orders = [] if request.kind is not RequestKind.SUBMIT else _list_linked_orders(connection, order)
    broker_order = (
        None if order_to_send is None else _build_broker_order(connection, order_to_send, linked_orders)
    )
    changes = {"sent_at": now, "attempts": request.attempts + 1}
    has_begun = queries.begin_request(connection, request, changes)
    return SendingDecision(None if has_begun else Obstacle.TAKEN, broker_order)


def _has_ended(order: Order, request: BrokerRequest) -> bool:
    """Return whether there is nothing left to cancel or replace at the broker.

    An order that has filled may have been reduced by the change that is sent now. The broker still works the
    former quantity, so the cancel is sent. A broker refuses it if nothing is left.
    """
    if request.kind is RequestKind.CANCEL and order.status is Status.FILLED:
        return False
    return order.status in FINAL_STATUSES and request.kind is not RequestKind.SUBMIT


def _load_successor(connection: Connection, request: BrokerRequest, order: Order) -> Order:
    """Return the successor for the broker, reduced by the fills of its group."""
    successor = parse_order_row(orjson.loads(request.successor or ""))
    if successor.quantity <= order.quantity:
        return successor
    history = list_order_events(connection, order.tenant_id, order.id)
    return reduce_successor(order, successor, history, GROUP_ACTOR)


def _build_broker_order(
    connection: Connection, order: Order, linked_orders: Sequence[Order] = ()
) -> BrokerOrder:
    """Return the order as a broker receives it, with the other orders of its request."""
    return build_broker_order(order, _load_instrument(connection, order), linked_orders)


def _list_linked_orders(connection: Connection, order: Order) -> list[Order]:
    if order.group_id is None:
        return []
    members = queries.list_group(connection, order)
    linked_orders = choose_orders_sent_together(order, members, _load_instrument(connection, order))
    carried = queries.load_ids_sent_with_entry(connection, linked_orders)
    return [
        linked_order
        for linked_order in linked_orders
        if linked_order.status is not Status.HELD or linked_order.id in carried
    ]


def _load_instrument(connection: Connection, order: Order) -> Instrument:
    key = InstrumentKey(order.tenant_id, order.symbol)
    return load_instruments(connection, [key])[key]
