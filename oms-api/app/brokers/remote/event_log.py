"""The events of a broker, in order, with cursors."""

import threading
from collections.abc import Callable, Sequence

from app.brokers.protocol import BrokerEventRecord
from app.brokers.rules.values import BrokerEvent


class EventLog:
    """Events in memory. Thread-safe.

    The first cursor is above those of earlier processes if `start` is derived from the clock, so that a
    cursor which was stored before a restart misses nothing.
    """

    def __init__(self, start: int = 0) -> None:
        self._start = start
        self._events: list[BrokerEvent] = []
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def length(self) -> int:
        """The number of events."""
        return len(self._events)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each new event, in the thread that adds it."""
        self._listeners.append(listener)

    def append(self, events: Sequence[BrokerEvent]) -> Sequence[BrokerEvent]:
        """Add events and return them."""
        if events:
            with self._lock:
                self._events.extend(events)
            for listener in self._listeners:
                listener()
        return events

    def list_after(self, cursor: int) -> Sequence[BrokerEventRecord]:
        """Return the events after a cursor, oldest first."""
        first = max(cursor - self._start, 0)
        with self._lock:
            events = self._events[first:]
        return [
            BrokerEventRecord(self._start + first + number, event) for number, event in enumerate(events, 1)
        ]
