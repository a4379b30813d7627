"""Limit the message rate: orders, changes and cancels per minute.

Processes that share a Redis share the rate, with a delay of a tenth of a second. Without Redis each process
counts on its own.
"""

import threading
from collections.abc import Callable, Hashable
from decimal import Decimal

from app.clock import monotonic_seconds
from app.money import format_grouped_amount
from app.rate_limit import Bucket, BucketLimit, RateState, TakenTokens
from app.risk.errors import TooManyMessages

NAME = "messages"
_MAX_LIMITS = 10_000
_MAX_BUCKETS = 100_000


class MessageRate:
    """A token bucket for each sender: the messages of a minute at once, then a steady rate.

    The writer's thread takes tokens, the event loop exchanges levels.
    """

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._limits: dict[int, BucketLimit] = {}
        self._buckets: dict[Hashable, Bucket] = {}
        self._changed_buckets: dict[Bucket, None] | None = None

    def take(self, sender: Hashable, per_minute: Decimal | None, messages: int = 1) -> None:
        """Count messages of the sender; None is no limit. Raises TooManyMessages with the seconds to wait."""
        if per_minute is None:
            return
        with self._lock:
            bucket = self._get_bucket(sender, self._get_limit(int(per_minute)))
            if bucket.level < messages:
                raise _build_error(per_minute, bucket)
            bucket.level -= messages
            if self._changed_buckets is not None:
                bucket.taken += messages
                self._changed_buckets[bucket] = None

    def start_recording(self) -> None:
        """Record from now on which buckets tokens were taken from, for `drain`."""
        self._changed_buckets = {}

    @property
    def has_changes(self) -> bool:
        """Whether `drain` would return any bucket."""
        return bool(self._changed_buckets)

    def drain(self) -> list[TakenTokens]:
        """Return the tokens taken from each bucket since the last call."""
        with self._lock:
            drained = [TakenTokens(bucket, bucket.taken) for bucket in self._changed_buckets or ()]
            for bucket, _ in drained:
                bucket.taken = 0
            self._changed_buckets = None if self._changed_buckets is None else {}
        return drained

    def update_level(self, bucket: Bucket, level: float) -> None:
        """Set the level that all processes together left, minus the tokens that this process took since."""
        with self._lock:
            bucket.refill(self._clock())
            bucket.level = min(bucket.level, level - bucket.taken)

    def _get_bucket(self, sender: Hashable, limit: BucketLimit) -> Bucket:
        """Return the sender's bucket, with the limit that applies now."""
        now = self._clock()
        bucket = self._buckets.get(sender)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[sender] = Bucket(limit, sender, now)
        bucket.limit = limit
        bucket.refill(now)
        return bucket

    def _get_limit(self, per_minute: int) -> BucketLimit:
        limit = self._limits.get(per_minute)
        if limit is None:
            if len(self._limits) >= _MAX_LIMITS:
                self._limits.clear()
            limit = self._limits[per_minute] = BucketLimit(NAME, "", per_minute)
        return limit


def _build_error(per_minute: Decimal, bucket: Bucket) -> TooManyMessages:
    limit = format_grouped_amount(per_minute)
    sentence = f"At most {limit} orders, changes and cancels a minute are allowed; wait before the next one."
    wait = RateState(bucket.limit, bucket.level).more_after_seconds if bucket.limit.per_second else 60
    return TooManyMessages(sentence, wait)
