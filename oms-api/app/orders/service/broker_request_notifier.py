"""Wake the senders when a request to a broker was committed, in this process and over a relay in others.

A session in this process gets new orders in memory, right after their commit. The request of such an order is
stored with the status *being sent*, in the transaction of the order. The session then sends it without
another transaction and without reading the order. After a crash it is unknown whether the request was sent.
It is treated like every request with an unknown outcome, and never sent again.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from app.clock import monotonic_seconds
from app.group_commit import COMMIT_WITHIN_SECONDS
from app.instruments.rules import Instrument
from app.orders.rules.values import Order

MAX_QUEUED_ORDERS = 50  # orders in a queue; further orders are read from the database
RESERVATION_SECONDS = COMMIT_WITHIN_SECONDS + 7.0  # the writer waits 5 s for the answer to COMMIT


class CommittedOrder(NamedTuple):
    """A committed order whose request is stored as being sent and was not sent yet."""

    connection: str
    order: Order
    instrument: Instrument


class SubmissionQueue:
    """The orders of one broker connection that wait for its session. Thread-safe.

    The writer reserves a place before it stores a request, and delivers the order after the commit. The
    session opens the queue when it has sent everything else, and closes it when it loses the broker.
    """

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._is_open = False
        self._reserved: dict[str, float] = {}  # by order id, the time of the reservation
        self._orders: deque[CommittedOrder] = deque()
        self.has_stored_requests = True  # requests that must be read from the database

    def open(self) -> None:
        """Accept orders from now on."""
        with self._lock:
            self._is_open = True

    def close(self) -> None:
        """Accept no more orders. Orders with a reserved place are still delivered."""
        with self._lock:
            self._is_open = False

    def reserve(self, order_id: str) -> bool:
        """Reserve a place for the order. Return False if there is none. A reservation expires."""
        now = self._clock()
        with self._lock:
            if not self._is_open or len(self._reserved) + len(self._orders) >= MAX_QUEUED_ORDERS:
                self._reserved = {
                    reserved_id: at for reserved_id, at in self._reserved.items() if not _has_expired(at, now)
                }
                return False
            self._reserved[order_id] = now
            return True

    def deliver(self, item: CommittedOrder) -> None:
        """Add a committed order with a reserved place."""
        with self._lock:
            self._reserved.pop(item.order.id, None)
            self._orders.append(item)

    def take(self) -> CommittedOrder | None:
        """Remove and return the oldest order, or return None."""
        with self._lock:
            return self._orders.popleft() if self._orders else None

    def take_all(self, order_ids: Collection[str] | None = None) -> list[CommittedOrder]:
        """Remove and return the orders with one of the ids, or all."""
        with self._lock:
            selected_orders = [
                queued for queued in self._orders if order_ids is None or queued.order.id in order_ids
            ]
            self._orders = deque(order for order in self._orders if order not in selected_orders)
            return selected_orders

    def is_expecting(self, order_id: str) -> bool:
        """Return whether the order waits here, or has a place and its commit may be under way."""
        now = self._clock()
        with self._lock:
            at = self._reserved.get(order_id)
            is_reserved = at is not None and not _has_expired(at, now)
            return is_reserved or any(queued.order.id == order_id for queued in self._orders)


def _has_expired(reserved_at: float, now: float) -> bool:
    return now - reserved_at > RESERVATION_SECONDS


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
