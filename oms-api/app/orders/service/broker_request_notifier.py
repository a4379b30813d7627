"""Wake the senders when a request to a broker was committed, in this process and over a relay in others."""

import threading
from collections.abc import Iterable

from app.orders.service.submission_queue import CommittedOrder, SubmissionQueue


class BrokerRequestNotifier:
    """Wakes listeners. A relay notifies other processes, which otherwise read requests at intervals.

    Each broker connection whose session runs in this process has a submission queue for its new orders.
    """

    def __init__(self) -> None:
        self._listeners: list[threading.Event] = []
        self._relays: list[threading.Event] = []
        self._queues: dict[tuple[int, str], SubmissionQueue] = {}

    def listen(self) -> threading.Event:
        """Return an event that is set at each notification."""
        event = threading.Event()
        self._listeners.append(event)
        return event

    def listen_as_relay(self) -> threading.Event:
        """Return an event that is set at each notification of this process, but not of other processes."""
        event = threading.Event()
        self._relays.append(event)
        return event

    def stop_listening(self, event: threading.Event) -> None:
        """Remove a listener or a relay."""
        for events in (self._listeners, self._relays):
            if event in events:
                events.remove(event)

    def get_queue(self, tenant_id: int, connection: str) -> SubmissionQueue:
        """Return the queue of a broker connection. It is closed until a session opens it."""
        return self._queues.setdefault((tenant_id, connection), SubmissionQueue())

    def reserve(self, tenant_id: int, connection: str, order_id: str) -> bool:
        """Return whether a new order gets a place in its connection's queue."""
        queue = self._queues.get((tenant_id, connection))
        return queue is not None and queue.reserve(order_id)

    def deliver(self, orders: Iterable[CommittedOrder]) -> None:
        """Hand committed orders to their sessions, and wake them."""
        for queued in orders:
            self.get_queue(queued.order.tenant_id, queued.connection).deliver(queued)
        self._set(self._listeners)

    def notify(self) -> None:
        """Wake all listeners and relays, because requests were stored."""
        self.wake()
        self._set(self._relays)

    def wake(self) -> None:
        """Wake the listeners of this process, because another one has committed a request."""
        for queue in list(self._queues.values()):
            queue.has_stored_requests = True
        self._set(self._listeners)

    @staticmethod
    def _set(events: Iterable[threading.Event]) -> None:
        for event in events:
            event.set()
