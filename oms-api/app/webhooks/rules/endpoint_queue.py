"""The deliveries of an endpoint that are waiting, and which of them may be sent next."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from app.webhooks.rules.attempts import AttemptResult, compute_pause_seconds
from app.webhooks.rules.fair_share import interleave
from app.webhooks.rules.values import Delivery, Endpoint

MAX_WAITING = 200  # per endpoint, in memory and in the database
MAX_CONCURRENT = 8  # requests to an endpoint that answers
MAX_JOINT_EVENTS = 1_000_000  # numbers of events, of which most are not used


class EndpointQueue:
    """The waiting deliveries of an endpoint.

    Of each subject only the first is sent, so that events about one order arrive in order. An endpoint that
    failed, or has not answered yet, gets one request at a time, with growing pauses after failures.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.cursor = endpoint.cursor
        self.has_more = False  # in the database
        self.is_proven = False  # the last request succeeded
        self._failures = 0
        self._paused_until: datetime | None = None
        self._by_subject: dict[str, deque[Delivery]] = {}
        self._deliveries_in_progress: dict[str, Delivery] = {}
        self._count = 0

    @property
    def waiting(self) -> int:
        """The number of deliveries that are waiting or being sent."""
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether further events may be added behind the waiting events."""
        return not self.has_more and self._count < MAX_WAITING

    @property
    def is_sending(self) -> bool:
        """Whether a request is running."""
        return bool(self._deliveries_in_progress)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Add deliveries, in the order of their events."""
        for delivery in deliveries:
            self._by_subject.setdefault(delivery.subject, deque()).append(delivery)
            self._count += 1

    def continue_requests(self, previous: "EndpointQueue") -> None:
        """Continue the requests that are running for an earlier state of the endpoint.

        Deliveries that were attempted since the new state was read have their newer state in `previous`.
        """
        self.is_proven = previous.is_proven
        known_deliveries = {
            item.id: item for deliveries in previous._by_subject.values() for item in deliveries
        }
        for deliveries in self._by_subject.values():
            for position, delivery in enumerate(deliveries):
                if (
                    delivery.id in known_deliveries
                    and known_deliveries[delivery.id].attempt > delivery.attempt
                ):
                    deliveries[position] = known_deliveries[delivery.id]
        for subject, sending in previous._deliveries_in_progress.items():
            deliveries = self._by_subject.get(subject, deque())
            for position, delivery in enumerate(deliveries):
                if delivery.id == sending.id:
                    deliveries[position] = sending
                    self._deliveries_in_progress[subject] = sending

    def take(self, now: datetime) -> Delivery | None:
        """Return the delivery to send now, marked as being sent.

        Return None if there is none or the endpoint pauses. The caller reports its result to `finish`.
        """
        if len(self._deliveries_in_progress) >= (MAX_CONCURRENT if self.is_proven else 1):
            return None
        if self._paused_until is not None and now < self._paused_until:
            return None
        due_deliveries = [
            deliveries[0]
            for subject, deliveries in self._by_subject.items()
            if subject not in self._deliveries_in_progress and deliveries[0].next_attempt_at <= now
        ]
        if not due_deliveries:
            return None
        delivery = min(due_deliveries, key=lambda item: (item.event_number, item.id))
        self._deliveries_in_progress[delivery.subject] = delivery
        return delivery

    def put_back(self, delivery: Delivery) -> None:
        """Mark a delivery as waiting again, because it was not sent."""
        self._deliveries_in_progress.pop(delivery.subject, None)

    def list_unloaded(self, now: datetime) -> list[Delivery]:
        """Return the deliveries that could be sent now if their events were loaded, a few at a time."""
        if self._paused_until is not None and now < self._paused_until:
            return []
        first = (
            deliveries[0]
            for subject, deliveries in self._by_subject.items()
            if subject not in self._deliveries_in_progress
        )
        due_deliveries = [
            delivery for delivery in first if delivery.event is None and delivery.next_attempt_at <= now
        ]
        return sorted(due_deliveries, key=lambda delivery: (delivery.event_number, delivery.id))[
            :MAX_CONCURRENT
        ]

    def finish(
        self, delivery: Delivery, result: AttemptResult, next_attempt_at: datetime | None, now: datetime
    ) -> None:
        """Record the result of a request. Without `next_attempt_at` the delivery is complete."""
        if self._deliveries_in_progress.get(delivery.subject) is delivery:
            del self._deliveries_in_progress[delivery.subject]
            if next_attempt_at is None:
                self.remove(delivery)
        self.is_proven = result.is_success
        self._failures = 0 if result.is_success else self._failures + 1
        self._paused_until = None
        if self._failures:
            seconds = compute_pause_seconds(self._failures, result.retry_after)
            self._paused_until = now + timedelta(seconds=seconds)

    def remove(self, delivery: Delivery) -> None:
        """Remove a delivery that is complete or cannot be sent."""
        deliveries = self._by_subject[delivery.subject]
        deliveries.remove(delivery)
        self._count -= 1
        if not deliveries:
            del self._by_subject[delivery.subject]


def choose_position(cursors: Iterable[int], horizon: int) -> int:
    """Return the number of the event after which a new dispatcher reads the events of all endpoints.

    It is the lowest cursor. Endpoints that are further behind than `MAX_JOINT_EVENTS` catch up one by one.
    """
    return min((cursor for cursor in cursors if horizon - cursor <= MAX_JOINT_EVENTS), default=horizon)


def take_turns(queues: Iterable[EndpointQueue]) -> list[EndpointQueue]:
    """Return the queues with the tenants in turn."""
    by_tenant: dict[int, list[EndpointQueue]] = {}
    for queue in queues:
        by_tenant.setdefault(queue.endpoint.tenant_id, []).append(queue)
    return list(interleave(by_tenant.values()))
