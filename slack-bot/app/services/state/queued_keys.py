"""The keys of the work that is queued, so that the same work is queued once."""

import threading


class QueuedKeys:
    """A set of keys for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[str] = set()

    def add(self, key: str) -> bool:
        """Add a key. Return whether it is new."""
        with self._lock:
            is_new = key not in self._keys
            self._keys.add(key)
            return is_new

    def remove(self, key: str) -> None:
        """Remove a key when its work starts, or when it was not queued."""
        with self._lock:
            self._keys.discard(key)
