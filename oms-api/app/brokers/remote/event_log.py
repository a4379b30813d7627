"""The events of a broker, in order, with cursors."""

import threading
from collections.abc import Callable, Sequence

from app.brokers.protocol import BrokerEventRecord
from app.brokers.rules.values import BrokerEvent


class EventLog:
    """Events in memory. Thread-safe.

    The first cursor is derived from the clock, and is usually above the cursors of earlier processes. It can
    be below them if the clock was set back, or if another machine takes over. A cursor that this log did not
    return is therefore from an earlier process: all events of this log follow it.
    """

    def __init__(self, start: int = 0) -> None:
        self._start = self._last_returned = start
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
        with self._lock:
            is_own = self._start <= cursor <= self._last_returned
            first = cursor - self._start if is_own else 0
            events = self._events[first:]
            self._last_returned = self._start + len(self._events)
        return [
            BrokerEventRecord(self._start + first + number, event) for number, event in enumerate(events, 1)
        ]

    def list_since(self, length: int) -> Sequence[BrokerEvent]:
        """Return the events after the first `length` ones, oldest first."""
        with self._lock:
            return self._events[length:]
