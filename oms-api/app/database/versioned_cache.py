"""A cache of values that are read or computed from rows, valid for one version of those rows."""

from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class _Entry(NamedTuple, Generic[ValueT]):
    version: str
    value: ValueT
    weight: int


class VersionedCache(Generic[KeyT, ValueT]):
    """Values by key, each valid for one version. For one thread.

    The version is stored in a row that the reader has locked. A writer in any process that changes the source
    of a value writes a new version into that row in the same transaction. A version that was rolled back is
    in no row, so a value that a failed batch stored is never found.
    """

    def __init__(self, max_weight: int, weigh: Callable[[ValueT], int] = lambda _: 1) -> None:
        self._entries: dict[KeyT, _Entry[ValueT]] = {}
        self._max_weight, self._weigh = max_weight, weigh
        self._weight = 0

    def get(self, key: KeyT, version: str) -> ValueT | None:
        """Return the value of that version, or None."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.version == version else None

    def get_version(self, key: KeyT) -> str | None:
        """Return the version of the value of `key`, None if there is no value."""
        entry = self._entries.get(key)
        return None if entry is None else entry.version

    def take(self, key: KeyT, version: str) -> ValueT | None:
        """Remove the value, whatever its version, and return it if it has that version.

        The caller changes it and puts it back under the next version.
        """
        value = self.get(key, version)
        self._remove_entry(key)
        return value

    def put(self, key: KeyT, version: str, value: ValueT) -> None:
        """Store a value. Above the maximum, all other values are removed."""
        self._remove_entry(key)
        weight = self._weigh(value)
        if self._weight + weight > self._max_weight:
            self.clear()
        self._entries[key] = _Entry(version, value, weight)
        self._weight += weight

    def clear(self) -> None:
        """Remove all values."""
        self._entries.clear()
        self._weight = 0

    def _remove_entry(self, key: KeyT) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._weight -= entry.weight
