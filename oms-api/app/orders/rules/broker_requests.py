"""Requests to a broker: the next one to send, the retry time, and the events that an order's state proves."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from app.brokers.capabilities import (
    CAPABILITIES_BY_BROKER,
    choose_exit_time,
    choose_oco_support,
    is_emulated_limit,
)
from app.brokers.protocol import OrderState
from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.rules.values import Accepted, BrokerEvent, BrokerOrder, Canceled, Executed, Rejected
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import Side
from app.money import ZERO
from app.orders.rules.contingency import EXIT_ROLES, OCO_ROLES, find_oco_group_id
from app.orders.rules.order_factory import PAPER
from app.orders.rules.values import (
    FINAL_STATUSES,
    WORKING_STATUSES,
    GroupKind,
    Order,
    Role,
    Status,
    TimeInForce,
)

SUBMIT_DEADLINE = timedelta(seconds=60)  # an order that was not sent by then is rejected
UNKNOWN_ORDER_TIMEOUT = timedelta(seconds=60)  # after it, an order that the broker does not know was lost
SENT_WITH_ENTRY = "The broker gets the exit with its entry."  # in the history of such an exit
MIN_QUERIES = 3  # before an order counts as not received
_HELD_STATUSES = frozenset({Status.HELD})
_UNSENT_STATUSES = frozenset({Status.INITIALIZED, Status.HELD, Status.SUBMITTED})
_FIRST_DELAY_SECONDS = 0.25
_MAX_DELAY_SECONDS = 5.0
_SIDES = {side.value: side for side in Side}


class RequestKind(StrEnum):
    """The kind of a request to a broker."""

    SUBMIT = "submit"
    CANCEL = "cancel"
    REPLACE = "replace"


class RequestStatus(StrEnum):
    """The progress of a request."""

    NEW = "new"  # certainly not sent
    SENDING = "sending"  # an attempt began; after a crash its outcome is unknown
    UNKNOWN = "unknown"  # the broker was reached, and its answer is missing
    DONE = "done"


class BrokerRequest(NamedTuple):
    """A stored request. `successor` is the JSON list of the columns of a replacement's successor.

    `id` is 0 for a new order that the writer handed over without reading the row.
    """

    id: int
    tenant_id: int
    connection: str
    order_id: str
    kind: RequestKind
    successor_id: str | None
    successor: str | None
    status: RequestStatus
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    next_attempt_at: datetime | None


def is_remote(order: Order) -> bool:
    """Return whether the order's broker is outside of this process."""
    return order.broker != PAPER


def is_at_broker(order: Order) -> bool:
    """Return whether a broker outside of this process works the order, or is about to."""
    return order.broker != PAPER and order.status in WORKING_STATUSES


def choose_request(undone_requests: Iterable[BrokerRequest], now: datetime) -> BrokerRequest | None:
    """Return the request to process next, None if none is due. `undone_requests` are sorted by id.

    The requests of one order keep their order, but a cancel passes requests that were certainly not sent.
    Over all orders, cancels come first.
    """
    by_order: dict[str, list[BrokerRequest]] = {}
    for request in undone_requests:
        by_order.setdefault(request.order_id, []).append(request)
    candidates = [_choose_next_request(requests) for requests in by_order.values()]
    due_requests = [candidate for candidate in candidates if is_due(candidate, now)]
    return min(
        due_requests, key=lambda request: (request.kind is not RequestKind.CANCEL, request.id), default=None
    )


def is_due(request: BrokerRequest, now: datetime) -> bool:
    """Return whether a request may be processed now."""
    return request.next_attempt_at is None or request.next_attempt_at <= now


def _choose_next_request(requests: Sequence[BrokerRequest]) -> BrokerRequest:
    first = requests[0]
    if first.status is not RequestStatus.NEW:
        return first
    return next((request for request in requests if request.kind is RequestKind.CANCEL), first)


def compute_retry_delay(attempts: int) -> timedelta:
    """Return the time to wait before the next attempt, after `attempts` failed attempts."""
    return timedelta(seconds=min(_FIRST_DELAY_SECONDS * 2 ** min(attempts, 10), _MAX_DELAY_SECONDS))


def is_submission(request: BrokerRequest) -> bool:
    """Return whether the request is a new order."""
    return request.kind is RequestKind.SUBMIT


def build_sending_request(order: Order, connection: str) -> BrokerRequest:
    """Return the request of a new order that was stored as being sent with it."""
    at = datetime.fromisoformat(order.updated_at)
    return BrokerRequest(
        id=0,
        tenant_id=order.tenant_id,
        connection=connection,
        order_id=order.id,
        kind=RequestKind.SUBMIT,
        successor_id=None,
        successor=None,
        status=RequestStatus.SENDING,
        attempts=1,
        created_at=at,
        sent_at=at,
        next_attempt_at=None,
    )


def return_to_new(request: BrokerRequest) -> BrokerRequest:
    """Return a request that was stored as being sent, but certainly was not."""
    return request._replace(status=RequestStatus.NEW, attempts=0, sent_at=None)


def is_new_order(request: BrokerRequest) -> bool:
    """Return whether the request is a new order that was certainly not sent."""
    return is_submission(request) and request.status is RequestStatus.NEW


def can_replace_exits(order: Order) -> bool:
    """Return whether an order is an exit of a position, which may replace other exits."""
    return order.role in EXIT_ROLES and order.parent_id is None


def is_too_late(request: BrokerRequest, now: datetime) -> bool:
    """Return whether an order that was never sent must not be sent any more. Cancels are never too late."""
    return request.kind is not RequestKind.CANCEL and now - request.created_at >= SUBMIT_DEADLINE


def was_never_received(request: BrokerRequest, now: datetime) -> bool:
    """Return whether a request that the broker does not know can no longer arrive there."""
    since = request.sent_at or request.created_at
    return request.attempts >= MIN_QUERIES and now - since >= UNKNOWN_ORDER_TIMEOUT


def list_proven_events(state: OrderState, executions: Sequence[Executed], now: datetime) -> list[BrokerEvent]:
    """Return the events that the broker's state of an order proves, in an order that can be applied."""
    if state.is_waiting_for_entry:
        return []
    order_id = state.order.id
    events: list[BrokerEvent] = [] if _was_rejected(state) else [Accepted(order_id, now)]
    events += executions
    if state.final_event is not None:
        events.append(state.final_event)
    elif not state.is_open and state.order.leaves > ZERO:
        events.append(Canceled(order_id, now))
    return events


def _was_rejected(state: OrderState) -> bool:
    return isinstance(state.final_event, Rejected)


def build_broker_order(
    order: Order, instrument: Instrument, linked_orders: Sequence[Order] = ()
) -> BrokerOrder:
    """Return the order as a broker receives it, with our id, and the orders that are sent with it.

    A pair that the broker links has a group. An exit of a broker without GTC orders is sent for a day.
    """
    built = convert_order(order, instrument)
    built = built._replace(
        linked_orders=tuple(build_broker_order(linked_order, instrument) for linked_order in linked_orders)
    )
    if order.role not in OCO_ROLES or not is_remote(order):
        return built
    is_linked = CAPABILITIES_BY_BROKER[order.broker].get_oco_support(built) is OcoSupport.NATIVE
    built = built._replace(group_id=find_oco_group_id(order) if is_linked else None)
    if order.role in EXIT_ROLES:
        built = built._replace(time_in_force=choose_exit_time(order.broker, built))
    return built


def is_emulated_limit_order(order: Order, instrument: Instrument) -> bool:
    """Return whether an order is the limit order of an emulated pair; the service sends it at its price."""
    return (
        is_remote(order)
        and order.role in OCO_ROLES
        and is_emulated_limit(
            order.broker, convert_order(order, instrument), is_exit=order.role in EXIT_ROLES
        )
    )


def get_oco_support(order: Order, instrument: Instrument) -> OcoSupport:
    """Return how the broker of an order of a pair executes the pair."""
    return choose_oco_support(
        order.broker, convert_order(order, instrument), is_exit=order.role in EXIT_ROLES
    )


def can_be_sent_with_exits(order: Order, instrument: Instrument) -> bool:
    """Return whether an order is an entry whose broker takes the exits in the same request."""
    is_entry = order.role is Role.ENTRY and order.group_kind is GroupKind.BRACKET
    if not is_entry or not is_remote(order):
        return False
    return CAPABILITIES_BY_BROKER[order.broker].can_carry_exits(convert_order(order, instrument))


def choose_orders_sent_together(
    order: Order, members: Iterable[Order], instrument: Instrument
) -> list[Order]:
    """Return the orders of an order's group that are sent in its request.

    With an entry these are its exits, with a take-profit the stop-loss of its pair. None of them has reached
    the broker yet.
    """
    is_entry = can_be_sent_with_exits(order, instrument)
    if not is_entry and (order.role is not Role.TAKE_PROFIT or order.status in FINAL_STATUSES):
        return []
    roles = EXIT_ROLES if is_entry else {Role.STOP_LOSS}
    statuses = _HELD_STATUSES if is_entry else _UNSENT_STATUSES
    exits = [
        member
        for member in members
        if member.role in roles and member.group_id == order.group_id and member.status in statuses
    ]
    unsent = [
        exit_order for exit_order in exits if exit_order.accepted_at is None and exit_order.id != order.id
    ]
    linked_orders = [order, *unsent] if not is_entry else unsent
    sufficient_support = {OcoSupport.ONE_REQUEST, OcoSupport.NATIVE} if is_entry else {OcoSupport.ONE_REQUEST}
    is_possible = all(
        get_oco_support(linked_order, instrument) in sufficient_support for linked_order in linked_orders
    )
    return unsent if is_possible and (is_entry or order.accepted_at is None) else []


def is_sent_as_day_order(order: Order, instrument: Instrument) -> bool:
    """Return whether an exit is sent as a DAY order, because the broker lacks its time in force."""
    return choose_exit_time(order.broker, convert_order(order, instrument)) is not order.time_in_force


def convert_order(
    order: Order, instrument: Instrument, time_in_force: TimeInForce | None = None, **links: Any
) -> BrokerOrder:
    """Return the order in the terms of the broker protocol, with our id.

    `time_in_force` replaces the time in force of the order. `links` are the fields that only the paper market
    reads.
    """
    return BrokerOrder(
        id=order.id,
        portfolio_id=order.portfolio_id,
        symbol=order.symbol,
        side=_SIDES[order.side],
        type=order.type,
        quantity=order.quantity,
        leaves=order.leaves_quantity,
        accepted_at=datetime.fromisoformat(order.accepted_at or order.created_at),
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_amount=order.trail_amount,
        trail_percent=order.trail_percent,
        trail_level=order.trail_level,
        is_triggered=order.is_triggered,
        time_in_force=time_in_force or order.time_in_force,
        tick_size=instrument.tick_size,
        lot_size=instrument.lot_size,
        asset_class=instrument.asset_class,
        currency=instrument.currency,
        exchange=instrument.exchange,
        product=order.product,
        expires_at=None if order.expires_at is None else datetime.fromisoformat(order.expires_at),
        extended_hours=order.extended_hours,
        **links,
    )
