"""Values that were read from rows, or computed from them, and hold while the rows bear the same version."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class VersionedCache(Generic[Key, Value]):
    """Values by key, each with the version under which it is true; for one thread.

    The version is in a row that the reader has locked: whoever changes what a value was read from, in
    whatever process, writes a new version into that row in the same transaction. A version that was rolled
    back is in no row, so that what a failed batch put here is never found.
    """

    def __init__(self, max_weight: int, weigh: Callable[[Value], int] = lambda _: 1) -> None:
        self._entries: dict[Key, tuple[str, Value, int]] = {}
        self._max_weight, self._weigh = max_weight, weigh
        self._weight = 0

    def get(self, key: Key, version: str) -> Value | None:
        """Return the value for that version, None where there is none."""
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] == version else None

    def take(self, key: Key, version: str) -> Value | None:
        """Remove the value, whatever its version, and return it if that is the version: to be changed, and
        put back under the version that is true then.
        """
        value = self.get(key, version)
        self._remove(key)
        return value

    def put(self, key: Key, version: str, value: Value) -> None:
        """Store a value; where there are too many, all others go."""
        self._remove(key)
        weight = self._weigh(value)
        if self._weight + weight > self._max_weight:
            self._entries.clear()
            self._weight = 0
        self._entries[key] = version, value, weight
        self._weight += weight

    def _remove(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry[2]
