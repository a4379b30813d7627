"""A token bucket for each caller: a minute's worth of requests at once, then a steady rate. Per process."""

import math
from collections.abc import Callable

from app.clock import monotonic_seconds
from app.errors import TooMany

_MOST_BUCKETS = 100_000


class RateLimiter:
    """Count requests per caller; `per_minute` = 0 counts nothing."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Take one request from the caller's bucket; TooMany, with the seconds to wait, when it is empty."""
        if not self._capacity:
            return
        now = self._clock()
        level, at = self._buckets.get(caller, (self._capacity, now))
        level = min(self._capacity, level + (now - at) * self._per_second)
        if level < 1:
            raise TooMany("Too many requests with this key.", math.ceil((1 - level) / self._per_second))
        if len(self._buckets) >= _MOST_BUCKETS and caller not in self._buckets:
            self._buckets.clear()
        self._buckets[caller] = (level - 1, now)
