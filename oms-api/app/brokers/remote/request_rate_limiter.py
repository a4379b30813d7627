"""A broker's rate limit, such as 200 requests a minute for an account. Cancels go first and have a reserve.

Requests wait in a queue by priority until a token is available. A request that would wait too long is not
sent.
"""

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from app.brokers.errors import RateLimitExceeded
from app.clock import monotonic_seconds

REQUESTS_PER_MINUTE = 200
WINDOW_SECONDS = 60
_MAX_WAIT_SECONDS = 1.0  # then look again, because another process may have given tokens back


class Priority(IntEnum):
    """The order in which waiting requests are sent."""

    CANCEL = 0
    ORDER = 1
    QUERY = 2


# The tenths of all tokens that requests of a priority leave for requests of a higher one.
_RESERVED_TENTHS = {Priority.CANCEL: 0, Priority.ORDER: 1, Priority.QUERY: 2}


class TokenBucket(Protocol):
    """A bucket of request tokens, which processes may share."""

    @property
    def capacity(self) -> int:
        """The number of requests within a window."""

    def take_token(self, reserved: int) -> float:
        """Take a token if more than `reserved` are left, and return 0. Else return the seconds to wait."""

    def return_token(self) -> None:
        """Return a token that was taken and not used."""

    def get_level(self) -> float:
        """Return the number of tokens that are left."""

    def set_level(self, level: float) -> None:
        """Lower the number of tokens to the number that the broker reports."""


class LocalTokenBucket:
    """The tokens of one process. Not thread-safe."""

    def __init__(
        self,
        capacity: int = REQUESTS_PER_MINUTE,
        clock: Callable[[], float] = monotonic_seconds,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self.capacity = capacity
        self._per_second = capacity / window_seconds
        self._clock = clock
        self._level, self._at = float(capacity), clock()

    def take_token(self, reserved: int) -> float:
        """Take a token, or return the seconds to wait."""
        missing = reserved + 1 - self.get_level()
        if missing > 0:
            return missing / self._per_second
        self._level -= 1
        return 0.0

    def return_token(self) -> None:
        """Return a token that was taken and not used."""
        self._level = min(float(self.capacity), self.get_level() + 1)

    def get_level(self) -> float:
        """Return the number of tokens that are left."""
        now = self._clock()
        self._level = min(self.capacity, self._level + (now - self._at) * self._per_second)
        self._at = now
        return self._level

    def set_level(self, level: float) -> None:
        """Lower the number of tokens to `level`."""
        self._level = min(self.get_level(), level)


class FurtherLimit(NamedTuple):
    """An additional limit, such as a daily one, which counts the requests of some priorities only."""

    bucket: TokenBucket
    priorities: frozenset[Priority]


class RequestRateLimiter:
    """Admits requests as the buckets allow, by priority. Thread-safe.

    The first bucket keeps a reserve for requests of a higher priority; the further ones do not.
    """

    def __init__(
        self,
        bucket: TokenBucket,
        clock: Callable[[], float] = monotonic_seconds,
        label: str = "The broker",
        further_limits: Sequence[FurtherLimit] = (),
    ) -> None:
        self._bucket, self._clock, self._label, self._further_limits = bucket, clock, label, further_limits
        self._changed = threading.Condition()
        self._queue: list[tuple[Priority, int]] = []
        self._numbers = itertools.count()
        self._blocked_until = 0.0

    @property
    def requests_left(self) -> int:
        """The number of requests that may be sent at once."""
        with self._changed:
            buckets = [self._bucket, *(further_limit.bucket for further_limit in self._further_limits)]
            # A portion that this process holds adds to a shared bucket that has filled up again.
            levels = (min(bucket.get_level(), float(bucket.capacity)) for bucket in buckets)
            return max(int(min(levels)), 0)

    def wait_for_token(self, priority: Priority, max_wait_seconds: float) -> None:
        """Wait for a token. Raises RateLimitExceeded if that would take longer than `max_wait_seconds`."""
        deadline = self._clock() + max_wait_seconds
        with self._changed:
            queue_entry = (priority, next(self._numbers))
            heapq.heappush(self._queue, queue_entry)
            try:
                self._wait(queue_entry, deadline)
            finally:
                self._queue.remove(queue_entry)
                heapq.heapify(self._queue)
                self._changed.notify_all()

    def block(self, seconds: float) -> None:
        """Send nothing for some time, because the broker answered 429."""
        with self._changed:
            self._blocked_until = max(self._blocked_until, self._clock() + seconds)
            self._changed.notify_all()

    def report_level(self, level: float) -> None:
        """Note the number of requests that the broker says are left."""
        with self._changed:
            self._bucket.set_level(level)

    def _take_tokens(self, priority: Priority) -> float:
        """Take a token of each bucket, or none and return the seconds to wait."""
        token_buckets: list[TokenBucket] = []
        buckets = [
            (further_limit.bucket, 0)
            for further_limit in self._further_limits
            if priority in further_limit.priorities
        ]
        buckets.append((self._bucket, self._bucket.capacity * _RESERVED_TENTHS[priority] // 10))
        for bucket, reserved in buckets:
            seconds = bucket.take_token(reserved)
            if seconds:
                for token_bucket in token_buckets:
                    token_bucket.return_token()
                return seconds
            token_buckets.append(bucket)
        return 0.0

    def _wait(self, queue_entry: tuple[Priority, int], deadline: float) -> None:
        while True:
            now = self._clock()
            seconds = self._blocked_until - now
            if seconds <= 0 and self._queue[0] == queue_entry:
                seconds = self._take_tokens(queue_entry[0])
                if not seconds:
                    return
            if now + max(seconds, 0.0) > deadline or now >= deadline:
                raise RateLimitExceeded(f"{self._label}'s rate limit is used up. Nothing was sent.")
            wait = seconds if seconds > 0 else _MAX_WAIT_SECONDS
            self._changed.wait(min(wait, _MAX_WAIT_SECONDS, deadline - now))
