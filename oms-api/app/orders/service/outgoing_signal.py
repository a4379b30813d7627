"""Wake the senders of this process when a request to a broker is about to be committed."""

import threading


class OutgoingSignal:
    """Wakes listeners. Those of other processes find the request when they look next."""

    def __init__(self) -> None:
        self._listeners: list[threading.Event] = []

    def listen(self) -> threading.Event:
        """Return an event that is set at each notification."""
        event = threading.Event()
        self._listeners.append(event)
        return event

    def stop_listening(self, event: threading.Event) -> None:
        """Forget a listener."""
        self._listeners.remove(event)

    def notify(self) -> None:
        """Wake all listeners."""
        for event in self._listeners:
            event.set()
