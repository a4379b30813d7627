"""Keep results for a short time, so that people who type at once do not repeat one another's calls."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_ENTRIES = 2000

T = TypeVar("T")


class TimedCache(Generic[T]):
    """Results by key. Each is returned for `seconds` after it was loaded."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[T, float]] = OrderedDict()

    def get_or_load(self, key: str, load: Callable[[], T]) -> T:
        """Return the result of `load`, or an earlier result of the same key. An exception is not kept."""
        began = self._clock()
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None and began - entry[1] < self._seconds:
            return entry[0]
        value = load()
        with self._lock:
            self._entries[key] = (value, began)
            self._entries.move_to_end(key)
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        return value
