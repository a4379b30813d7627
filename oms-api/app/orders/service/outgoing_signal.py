"""Wake the senders when a request to a broker was committed, in this process and over a relay in others."""

import threading


class OutgoingSignal:
    """Wakes listeners. A relay tells other processes, which without it look for requests at intervals."""

    def __init__(self) -> None:
        self._listeners: list[threading.Event] = []
        self._relays: list[threading.Event] = []

    def listen(self) -> threading.Event:
        """Return an event that is set at each notification."""
        event = threading.Event()
        self._listeners.append(event)
        return event

    def listen_as_relay(self) -> threading.Event:
        """Return an event that is set at each notification of this process, but at none of another one."""
        event = threading.Event()
        self._relays.append(event)
        return event

    def stop_listening(self, event: threading.Event) -> None:
        """Forget a listener or relay."""
        for events in (self._listeners, self._relays):
            if event in events:
                events.remove(event)

    def notify(self) -> None:
        """Wake all listeners, and tell the relays."""
        self.wake()
        for event in self._relays:
            event.set()

    def wake(self) -> None:
        """Wake the listeners of this process, because another one has committed a request."""
        for event in self._listeners:
            event.set()
