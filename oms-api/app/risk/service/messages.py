"""The message rate: orders, changes and cancels in a minute. Counted in each process by itself."""

import math
from collections.abc import Callable, Hashable
from decimal import Decimal

from app.clock import monotonic_seconds
from app.risk.errors import TooManyMessages
from app.risk.rules.words import told

_MOST_BUCKETS = 100_000


class MessageRate:
    """A bucket for each sender: a minute's worth at once, then a steady rate."""

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def take(self, sender: Hashable, per_minute: Decimal | None, messages: int = 1) -> None:
        """Count messages of the sender; None is no limit. Raises TooManyMessages, with the seconds to
        wait.
        """
        if per_minute is None:
            return
        now, capacity = self._clock(), float(per_minute)  # a count, no amount
        level, at = self._buckets.get(sender, (capacity, now))
        level = min(capacity, level + (now - at) * capacity / 60)
        if level < messages:
            wait = math.ceil((messages - level) * 60 / capacity) if capacity else 60
            raise TooManyMessages(f"At most {told(per_minute)} orders, changes and cancels a minute.", wait)
        if len(self._buckets) >= _MOST_BUCKETS and sender not in self._buckets:
            self._buckets.clear()
        self._buckets[sender] = (level - messages, now)
