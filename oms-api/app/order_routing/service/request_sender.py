"""Send the stored requests of one connection, one after another, and find unknown outcomes."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine

from app.brokers.errors import BrokerOutcomeUnknown, BrokerUnavailable
from app.brokers.protocol import Broker
from app.brokers.rules.values import BrokerEvent, BrokerOrder, Canceled, CancelRejected, Rejected
from app.clock import EPOCH, Now
from app.order_routing.queries import open_transaction
from app.order_routing.service.request_loading import Obstacle, SendingDecision, begin_request
from app.order_routing.service.request_resolution import RequestResolver
from app.orders.queries import broker_requests as queries
from app.orders.rules.broker_requests import (
    SUBMIT_DEADLINE,
    BrokerRequest,
    RequestKind,
    RequestStatus,
    build_broker_order,
    build_sending_request,
    choose_request,
    compute_retry_delay,
    is_due,
    is_new_order,
    is_submission,
    is_too_late,
    return_to_new,
)
from app.orders.service.broker_request_notifier import SubmissionQueue

POLL_INTERVAL = timedelta(seconds=0.1)  # between two queries for requests without a notification
LONG_POLL_INTERVAL = timedelta(seconds=1)  # if other processes notify this one of their requests
MAX_UNMARKED_REQUESTS = 20  # that are done, while the session is not idle
ApplyResponseEvents = Callable[[Sequence[BrokerEvent]], bool]  # returns whether they are applied
_NOT_REACHED = f"The broker was not reached within {SUBMIT_DEADLINE.total_seconds():.0f} s."
_REFUSED = "The outcome could not be recorded. It is read again."
_EXITS_END = "The current exits of the position have not ended yet."
_LOG = logging.getLogger(__name__)


class _AppliedRequest(NamedTuple):
    """A request whose events are applied, and the time of that."""

    request: BrokerRequest
    at: datetime


class RequestSender:
    """Sends the requests of a connection. Only one process sends at a time, by a lease.

    A request is marked before it is sent. A request that a crash or a lost response left marked is never sent
    again: the order is read at the broker by our id until its state is known. Applying a response again after
    a crash changes nothing.
    """

    def __init__(
        self,
        engine: Engine,
        tenant_id: int,
        name: str,
        broker: Broker,
        apply: ApplyResponseEvents,
        now: Now,
        queue: SubmissionQueue | None = None,
        are_requests_announced: Callable[[], bool] = lambda: False,
        count_missing_response: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._count_missing_response = (
            count_missing_response  # gets whether the response to a request is missing
        )
        self._are_requests_announced = are_requests_announced  # by the processes that store them
        self._engine, self._tenant_id, self._name = engine, tenant_id, name
        self._broker, self._apply, self._now = broker, apply, now
        self._resolver = RequestResolver(broker, now)
        self._queue = queue or SubmissionQueue()
        self._is_backlogged = True  # whether the last query found requests
        self._next_poll = EPOCH
        self._applied_requests: list[_AppliedRequest] = []  # to be marked as done

    def send_next(self) -> bool:
        """Process the next request that is due. Return False if there is none.

        New orders from the submission queue go first, unless other requests were stored: a cancel may be one.
        Raises BrokerUnavailable if the broker was not reached, and NotApplied.
        """
        queue = self._queue
        if not queue.has_stored_requests and self._send_from_queue():
            return True
        if not (queue.has_stored_requests or self._is_backlogged or self._now() >= self._next_poll):
            return False
        return self._send_stored() or self._send_from_queue()

    def save_progress(self, *, is_idle: bool = True) -> None:
        """Mark the done requests. While the session is not idle, wait for `MAX_UNMARKED_REQUESTS` of them."""
        if len(self._applied_requests) >= (1 if is_idle else MAX_UNMARKED_REQUESTS):
            with open_transaction(self._engine, self._tenant_id) as connection:
                self._mark_requests_done(connection)
            self._applied_requests.clear()

    def return_queued_orders(self) -> None:
        """Close the queue, and mark the orders in it as not sent. They are sent later like other requests."""
        self._queue.close()
        self._is_backlogged = True
        returned = [queued.order.id for queued in self._queue.take_all()]
        if returned:
            with open_transaction(self._engine, self._tenant_id) as connection:
                queries.return_submissions(connection, self._tenant_id, returned)

    def _send_from_queue(self) -> bool:
        """Send the oldest order of the queue. Return False if there is none."""
        item = self._queue.take()
        if item is None:
            return False
        request = build_sending_request(item.order, item.connection)
        broker_order = build_broker_order(item.order, item.instrument)
        obstacle = Obstacle.TOO_LATE if is_too_late(request, self._now()) else None
        self._send(request, SendingDecision(obstacle, broker_order))
        return True

    def _send_stored(self) -> bool:
        """Process the next request of the database that is due. Return False if there is none."""
        sending, queue, now = None, self._queue, self._now()
        queue.has_stored_requests = False  # before the query, so that none is missed
        with open_transaction(self._engine, self._tenant_id) as connection:
            self._mark_requests_done(connection)
            undone_requests = self._list_unqueued_requests(connection)
            sendable = [request for request in undone_requests if not queue.is_expecting(request.order_id)]
            request = choose_request(sendable, now)
            if request is not None and is_new_order(request):  # by one transaction, because it is urgent
                sending = begin_request(connection, request, self._now())
        self._applied_requests.clear()
        self._is_backlogged = bool(undone_requests)
        self._next_poll = now + (LONG_POLL_INTERVAL if self._are_requests_announced() else POLL_INTERVAL)
        if not undone_requests:
            queue.open()
        if request is None:
            return False
        if request.status is not RequestStatus.NEW:
            self._resolve(request)
        elif request.kind is RequestKind.CANCEL:
            self._cancel(request, undone_requests)
        else:
            self._send(request, sending)
        return True

    def _list_unqueued_requests(self, connection: Connection) -> list[BrokerRequest]:
        """Return the undone requests, without the orders of the queue.

        An order of the queue with another request is removed from it: the order was certainly not sent.
        """
        undone_requests = queries.list_incomplete_requests(connection, self._tenant_id, self._name)
        changed = {request.order_id for request in undone_requests if not is_submission(request)}
        returned_ids = {request.order.id for request in self._queue.take_all(changed)}
        if returned_ids:
            queries.return_submissions(connection, self._tenant_id, returned_ids)
        return [
            return_to_new(request) if is_submission(request) and request.order_id in returned_ids else request
            for request in undone_requests
            if request.order_id in changed or not self._queue.is_expecting(request.order_id)
        ]

    def reject_overdue(self) -> None:
        """Reject the orders that could not be sent in time, while the broker is not reached."""
        now = self._now()
        self.save_progress()
        with open_transaction(self._engine, self._tenant_id) as connection:
            undone_requests = self._list_unqueued_requests(connection)
        for request in undone_requests:
            if request.status is RequestStatus.NEW and is_due(request, now) and is_too_late(request, now):
                self._reject_unsent(request)

    def _cancel(self, request: BrokerRequest, undone_requests: Iterable[BrokerRequest]) -> None:
        """Send a cancel, and drop the earlier requests of its order that were not sent."""
        earlier = [
            other for other in undone_requests if other.order_id == request.order_id and other.id < request.id
        ]
        dropped = [other for other in earlier if other.kind is not RequestKind.CANCEL]
        if any(other.kind is RequestKind.SUBMIT for other in dropped):
            events = [Canceled(request.order_id, self._now())]
            if not self._apply_outcome(request, events, is_sent=False):
                return
        else:
            self._send(request, None)
        for dropped_request in dropped:
            self._apply_outcome(dropped_request, ())

    def _send(self, request: BrokerRequest, sending: SendingDecision | None) -> None:
        if sending is None:
            with open_transaction(self._engine, self._tenant_id) as connection:
                sending = begin_request(connection, request, self._now())
        if sending.obstacle is not None:
            self._close_unsent(request, sending.obstacle)
            return
        try:
            events = self._call_broker(request, sending.order, self._now())
        except BrokerUnavailable:
            self._postpone(request, RequestStatus.NEW, "The broker was not reached.")
            raise
        except BrokerOutcomeUnknown:
            self._postpone(request, RequestStatus.UNKNOWN, "The broker did not answer.")
            self._count_missing_response(True)
        except Exception as failure:  # noqa: BLE001  # whatever an adapter raised, the broker may have the order
            _LOG.exception("the response of a broker was not understood")
            self._postpone(request, RequestStatus.UNKNOWN, f"Not understood: {type(failure).__name__}.")
        else:
            self._count_missing_response(False)
            self._apply_outcome(request, self._resolver.add_proven_events(request, events))

    def _call_broker(
        self, request: BrokerRequest, order: BrokerOrder | None, at: datetime
    ) -> Sequence[BrokerEvent]:
        if order is None:
            return self._broker.cancel(request.order_id, at)
        if request.kind is RequestKind.SUBMIT:
            return self._broker.submit(order, at)
        return self._broker.replace(request.order_id, order, at)

    def _resolve(self, request: BrokerRequest) -> None:
        """Ask the broker for an order whose request has no known outcome. Only a cancel is sent again."""
        try:
            events = self._resolver.find_outcome(request)
        except BrokerUnavailable:
            self._postpone(request, RequestStatus.UNKNOWN, "The broker was not reached.")
            raise
        except BrokerOutcomeUnknown:
            events = None
        except Exception:  # noqa: BLE001  # other requests must not wait for a response that is not understood
            _LOG.exception("the response of a broker was not understood")
            events = None
        if events is None:
            self._postpone(request, RequestStatus.UNKNOWN, "The outcome is not known yet.")
        else:
            self._apply_outcome(request, events)

    def _close_unsent(self, request: BrokerRequest, obstacle: Obstacle) -> None:
        """End a request that is not sent, unless another process has begun it."""
        if obstacle is Obstacle.ENDED:
            self._apply_outcome(request, ())
        elif obstacle is Obstacle.TOO_LATE:
            self._reject_unsent(request)
        elif obstacle is Obstacle.EXITS_END:
            at = self._now() + compute_retry_delay(request.attempts)
            self._update_request(request, RequestStatus.NEW, error=_EXITS_END, next_attempt_at=at)

    def _reject_unsent(self, request: BrokerRequest) -> None:
        now = self._now()
        if request.kind is RequestKind.SUBMIT:
            self._apply_outcome(request, [Rejected(request.order_id, _NOT_REACHED, now)], is_sent=False)
        else:
            self._apply_outcome(request, [CancelRejected(request.order_id, _NOT_REACHED, now)], is_sent=False)

    def _apply_outcome(
        self, request: BrokerRequest, events: Sequence[BrokerEvent], *, is_sent: bool = True
    ) -> bool:
        """Apply the events of a request, which is marked as done afterwards. A crash in between repeats both.

        The mark can wait until nothing is more urgent. Return False if the writer refused an event: the
        outcome is then read again later, and other requests do not wait for it.
        """
        if not self._apply(events):
            self._postpone(request, RequestStatus.UNKNOWN if is_sent else RequestStatus.NEW, _REFUSED)
            return False
        self._applied_requests.append(_AppliedRequest(request, self._now()))
        return True

    def _mark_requests_done(self, connection: Connection) -> None:
        for request, at in self._applied_requests:
            changes = {"completed_at": at, "error": None, "next_attempt_at": None}
            queries.update_request(connection, request, {"status": RequestStatus.DONE.value, **changes})

    def _postpone(self, request: BrokerRequest, status: RequestStatus, error: str) -> None:
        attempts = request.attempts + 1
        delay: timedelta = compute_retry_delay(attempts)
        self._update_request(
            request, status, attempts=attempts, error=error, next_attempt_at=self._now() + delay
        )

    def _update_request(self, request: BrokerRequest, status: RequestStatus, **changes: Any) -> None:
        with open_transaction(self._engine, self._tenant_id) as connection:
            queries.update_request(connection, request, {"status": status.value, **changes})
