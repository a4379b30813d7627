"""Values that a process keeps for a moment between batches, because reading them again costs much."""

from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from app.database.versioned_cache import VersionedCache

MAX_AGE = timedelta(seconds=2)  # the batch has not locked all that these values are computed from
MAX_VALUES = 5_000
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(NamedTuple, Generic[Value]):
    """A value, and when it was read."""

    value: Value
    read_at: datetime


class RecentValues(Generic[Key, Value]):
    """The values of MAX_VALUES keys, each at most MAX_AGE old and of one version."""

    def __init__(self) -> None:
        self._cache: VersionedCache[Key, Recent[Value]] = VersionedCache(MAX_VALUES)

    def get(self, key: Key, version: str, now: datetime, read: Callable[[], Value]) -> Value:
        """Return the value of the key, which is read if it is not known."""
        recent = self._cache.get(key, version)
        if recent is None or not timedelta(0) <= now - recent.read_at < MAX_AGE:
            recent = Recent(read(), now)
            self._cache.put(key, version, recent)
        return recent.value
