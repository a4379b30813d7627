"""Send the stored requests of one connection, one after another, and find out what is not known."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Engine

from app.brokers.errors import BrokerUnavailable, OutcomeOpen
from app.brokers.protocol import Broker
from app.brokers.rules.values import BrokerEvent, BrokerOrder, Canceled, Refused, Rejected, Replaced
from app.clock import Now
from app.instruments.queries import find_instruments
from app.instruments.rules import InstrumentKey
from app.order_routing.queries import transaction
from app.order_routing.service.report_writer import ReportWriter
from app.orders.queries import broker_requests as queries
from app.orders.queries.book import orders_by_id
from app.orders.rules.broker_requests import (
    SUBMIT_DEADLINE,
    UNKNOWN_LIMIT,
    BrokerRequest,
    RequestKind,
    RequestStatus,
    build_broker_order,
    choose_request,
    get_delay,
    is_new_order,
    is_too_late,
    list_proven_events,
    was_never_received,
)
from app.orders.rules.rows import order_of
from app.orders.rules.values import FINAL, Order, OrderKey

_NOT_REACHED = f"The broker was not reached within {SUBMIT_DEADLINE.total_seconds():.0f} s."
_NOT_RECEIVED = f"The broker did not know the order {UNKNOWN_LIMIT.total_seconds():.0f} s after it was sent."
_LOG = logging.getLogger(__name__)


class Obstacle(StrEnum):
    """Why a request is not sent."""

    ENDED = "ended"  # the order
    TOO_LATE = "too late"


class _Sending(NamedTuple):
    """What is sent: the order or successor, None for a cancel; or why nothing is."""

    obstacle: Obstacle | None
    order: BrokerOrder | None


class RequestSender:
    """Sends the requests of a connection. Only one process does at a time, by a lease.

    A request is marked before it is sent. A request that a crash or a lost answer left marked is never sent
    again: the broker is asked for the order by our id until its state is known. Applying an answer again
    after a crash changes nothing.
    """

    def __init__(
        self, engine: Engine, tenant_id: int, name: str, broker: Broker, reports: ReportWriter, now: Now
    ) -> None:
        self._engine, self._tenant_id, self._name = engine, tenant_id, name
        self._broker, self._reports, self._now = broker, reports, now

    def send_next(self) -> bool:
        """Process the next request that is due. Return False if there is none.

        Raises BrokerUnavailable if the broker was not reached, and NotApplied.
        """
        sending = None
        with transaction(self._engine, self._tenant_id) as connection:
            undone = queries.list_undone_requests(connection, self._tenant_id, self._name)
            request = choose_request(undone, self._now())
            if request is not None and is_new_order(request):  # by one transaction, because it is urgent
                sending = self._begin(connection, request)
        if request is None:
            return False
        if request.status is not RequestStatus.NEW:
            self._resolve(request)
        elif request.kind is RequestKind.CANCEL:
            self._cancel(request, [one for one in undone if one.order_id == request.order_id])
        else:
            self._send(request, sending)
        return True

    def reject_overdue(self) -> None:
        """Reject the orders that could not be sent in time, while the broker is not reached."""
        now = self._now()
        with transaction(self._engine, self._tenant_id) as connection:
            undone = queries.list_undone_requests(connection, self._tenant_id, self._name)
        for request in undone:
            if request.status is RequestStatus.NEW and is_too_late(request, now):
                self._reject_unsent(request)

    def _cancel(self, request: BrokerRequest, of_order: Sequence[BrokerRequest]) -> None:
        """Send a cancel, and drop what was not sent before it."""
        dropped = [one for one in of_order if one.id < request.id and one.kind is not RequestKind.CANCEL]
        if any(one.kind is RequestKind.SUBMIT for one in dropped):
            self._finish(request, [Canceled(request.order_id, self._now())])  # the broker never had it
        else:
            self._send(request, None)
        for one in dropped:
            self._finish(one, ())

    def _begin(self, connection: Connection, request: BrokerRequest) -> _Sending:
        """Load what is sent, and mark the request as being sent, unless it must not be sent any more."""
        order = orders_by_id(connection, [OrderKey(self._tenant_id, request.order_id)])[0]
        now = self._now()
        if order.status in FINAL and request.kind is not RequestKind.SUBMIT:
            return _Sending(Obstacle.ENDED, None)
        if is_too_late(request, now):
            return _Sending(Obstacle.TOO_LATE, None)
        sent = order if request.kind is RequestKind.SUBMIT else None
        if request.kind is RequestKind.REPLACE:
            sent = order_of(orjson.loads(request.successor or ""))
        broker_order = None if sent is None else _convert(connection, sent)
        changes = {"status": RequestStatus.SENDING.value, "sent_at": now, "attempts": request.attempts + 1}
        queries.update_request(connection, request, changes)
        return _Sending(None, broker_order)

    def _send(self, request: BrokerRequest, sending: _Sending | None) -> None:
        if sending is None:
            with transaction(self._engine, self._tenant_id) as connection:
                sending = self._begin(connection, request)
        if sending.obstacle is Obstacle.ENDED:
            self._finish(request, ())
            return
        if sending.obstacle is Obstacle.TOO_LATE:
            self._reject_unsent(request)
            return
        try:
            events = self._call(request, sending.order, self._now())
        except BrokerUnavailable:
            self._postpone(request, RequestStatus.NEW, "The broker was not reached.")
            raise
        except OutcomeOpen:
            self._postpone(request, RequestStatus.UNKNOWN, "The broker did not answer.")
        except Exception as failure:  # noqa: BLE001  # whatever an adapter raised, the broker may have the order
            _LOG.exception("the answer of a broker was not understood")
            self._postpone(request, RequestStatus.UNKNOWN, f"Not understood: {type(failure).__name__}.")
        else:
            self._finish(request, self._complete(request, events))

    def _call(self, request: BrokerRequest, order: BrokerOrder | None, at: datetime) -> Sequence[BrokerEvent]:
        if order is None:
            return self._broker.cancel(request.order_id, at)
        if request.kind is RequestKind.SUBMIT:
            return self._broker.submit(order, at)
        return self._broker.replace(request.order_id, order, at)

    def _complete(self, request: BrokerRequest, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
        """Return the events of an answer. A refused cancel often crossed a fill, which is asked for."""
        if not any(isinstance(event, Refused) for event in events):
            return events
        try:
            return [*self._read_proven_events(request.order_id), *events]
        except (BrokerUnavailable, OutcomeOpen):
            return events  # the events that the broker reports later will tell

    def _resolve(self, request: BrokerRequest) -> None:
        """Ask the broker for an order whose request has no known outcome. Never send it again."""
        try:
            events = self._find_outcome(request)
        except BrokerUnavailable:
            self._postpone(request, RequestStatus.UNKNOWN, "The broker was not reached.")
            raise
        except OutcomeOpen:
            events = None
        if events is None:
            self._postpone(request, RequestStatus.UNKNOWN, "The outcome is not known yet.")
        else:
            self._finish(request, events)

    def _find_outcome(self, request: BrokerRequest) -> Sequence[BrokerEvent] | None:
        """Return the events that the broker's state proves, None if it proves nothing yet."""
        now = self._now()
        is_lost = was_never_received(request, now)
        if request.kind is RequestKind.SUBMIT:
            proven = self._read_proven_events(request.order_id)
            return proven or ([Rejected(request.order_id, _NOT_RECEIVED, now)] if is_lost else None)
        if request.kind is RequestKind.REPLACE and request.successor_id is not None:
            successor = self._read_proven_events(request.successor_id)
            if successor:
                return [Replaced(request.order_id, request.successor_id, now), *successor]
        state = self._broker.find(request.order_id)
        if state is not None and not state.is_open:
            refused = Refused(request.order_id, "The order had ended.", now)
            return [*self._read_proven_events(request.order_id), refused]
        if request.kind is RequestKind.CANCEL and state is not None:
            return self._broker.cancel(request.order_id, now)  # harmless to repeat, unlike an order
        return [Refused(request.order_id, _NOT_RECEIVED, now)] if is_lost else None

    def _read_proven_events(self, order_id: str) -> list[BrokerEvent]:
        state = self._broker.find(order_id)
        if state is None:
            return []
        return list_proven_events(state, self._broker.executions(order_id), self._now())

    def _reject_unsent(self, request: BrokerRequest) -> None:
        now = self._now()
        if request.kind is RequestKind.SUBMIT:
            self._finish(request, [Rejected(request.order_id, _NOT_REACHED, now)])
        else:
            self._finish(request, [Refused(request.order_id, _NOT_REACHED, now)])

    def _finish(self, request: BrokerRequest, events: Sequence[BrokerEvent]) -> None:
        """Apply the events of a request, then mark it as done. A crash in between repeats both."""
        self._reports.apply(events)
        self._mark(request, RequestStatus.DONE, completed_at=self._now(), error=None, next_attempt_at=None)

    def _postpone(self, request: BrokerRequest, status: RequestStatus, error: str) -> None:
        attempts = request.attempts + 1
        delay: timedelta = get_delay(attempts)
        self._mark(request, status, attempts=attempts, error=error, next_attempt_at=self._now() + delay)

    def _mark(self, request: BrokerRequest, status: RequestStatus, **changes: Any) -> None:
        with transaction(self._engine, self._tenant_id) as connection:
            queries.update_request(connection, request, {"status": status.value, **changes})


def _convert(connection: Connection, order: Order) -> BrokerOrder:
    """Return the order as a broker receives it."""
    key = InstrumentKey(order.tenant_id, order.symbol)
    return build_broker_order(order, find_instruments(connection, [key])[key])
