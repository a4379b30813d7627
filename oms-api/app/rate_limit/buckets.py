"""Token buckets that allow a burst of one minute's requests and then a steady rate, and their header fields.

The header fields follow draft-ietf-httpapi-ratelimit-headers: q is the quota of w seconds, r the
remaining quota, t the seconds until it allows one more request.
"""

import math
from collections.abc import Callable, Hashable
from typing import NamedTuple

from typing_extensions import override

from app.errors import TooMany

WINDOW_SECONDS = 60
MAX_BUCKETS = 100_000


class Bucket:
    """A token bucket with `level` requests left at time `at`. `taken` is not yet sent to other processes."""

    __slots__ = ("at", "key", "level", "limit", "taken")

    def __init__(self, limit: "BucketLimit", key: Hashable, at: float) -> None:
        self.limit = limit
        self.key = key
        self.level = limit.capacity
        self.at = at
        self.taken = 0

    def refill(self, now: float) -> None:
        """Add the tokens for the time since `at`."""
        limit = self.limit
        level = self.level + (now - self.at) * limit.per_second
        self.level = level if level < limit.capacity else limit.capacity  # noqa: FURB136  # min() takes longer
        self.at = now


class BucketLimit:
    """Buckets of one kind.

    Each allows `per_minute` requests, and bursts of as many unless `at_once` is set. `name` is for the
    header, `message` is the error message.
    """

    def __init__(self, name: str, message: str, per_minute: int, at_once: int | None = None) -> None:
        self.name = name
        self.message = message
        self.capacity = float(per_minute if at_once is None else at_once)
        self.per_second = per_minute / WINDOW_SECONDS
        self.policy = f'"{name}";q={per_minute};w={WINDOW_SECONDS}'.encode()
        self._label = f'"{name}"'.encode()
        self._buckets: dict[Hashable, Bucket] = {}

    def refill_bucket(self, key: Hashable, now: float) -> Bucket:
        """Return the bucket of `key`, refilled."""
        bucket = self._buckets.get(key)
        if bucket is None:
            return self._create_bucket(key, now)
        bucket.refill(now)
        return bucket

    def take(self, key: Hashable, now: float) -> None:
        """Take one token from the bucket of `key`. Raises OverLimit if it is empty."""
        bucket = self.refill_bucket(key, now)
        if bucket.level < 1:
            raise OverLimit(RateState(self, bucket.level))
        bucket.level -= 1

    def format_header(self, remaining: int, seconds: int) -> bytes:
        """Return the value of the header field RateLimit."""
        return b"%b;r=%d;t=%d" % (self._label, remaining, seconds)

    def _create_bucket(self, key: Hashable, now: float) -> Bucket:
        if len(self._buckets) >= MAX_BUCKETS:
            self._make_room(now)
        bucket = self._buckets[key] = Bucket(self, key, now)
        return bucket

    def _make_room(self, now: float) -> None:
        """Remove full buckets, which hold no information, or else the oldest tenth."""
        kept_buckets = {}
        for key, bucket in self._buckets.items():
            bucket.refill(now)
            if bucket.level < self.capacity:
                kept_buckets[key] = bucket
        for key in list(kept_buckets)[: max(0, len(kept_buckets) - MAX_BUCKETS * 9 // 10)]:
            del kept_buckets[key]
        self._buckets = kept_buckets


class TakenTokens(NamedTuple):
    """Tokens taken from a bucket and not yet shared with other processes."""

    bucket: Bucket
    number: int


class Unlimited(BucketLimit):
    """A disabled limit: one bucket for all callers, which is never empty."""

    def __init__(self) -> None:
        super().__init__("", "", 0)
        self.capacity = math.inf
        self._endless = Bucket(self, "", 0.0)

    @override
    def refill_bucket(self, key: Hashable, now: float) -> Bucket:
        return self._endless


class RateState(NamedTuple):
    """The state of a bucket after a request."""

    limit: BucketLimit
    level: float

    @property
    def remaining(self) -> int:
        """The number of requests that may be sent at once."""
        return max(0, int(self.level))

    @property
    def more_after_seconds(self) -> int:
        """The seconds until one more request may be sent than now."""
        return math.ceil((self.remaining + 1 - self.level) / self.limit.per_second)

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
        """The two header fields of the rate limit."""
        field = self.limit.format_header(self.remaining, self.more_after_seconds)
        return (b"ratelimit-policy", self.limit.policy), (b"ratelimit", field)


class OverLimit(TooMany):
    """A bucket is empty. The message and the header fields say which one."""

    def __init__(self, rate: RateState) -> None:
        super().__init__(rate.limit.message, rate.more_after_seconds)
        self.headers = {name.decode(): value.decode() for name, value in rate.headers}


MonotonicClock = Callable[[], float]
