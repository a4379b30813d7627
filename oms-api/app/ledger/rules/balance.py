"""Whether two streams hold the same items, in whatever order, told in fixed memory."""

from collections.abc import Hashable

BUCKETS = 1024


class Balance:
    """Sums of hashes in buckets: what one stream adds, the other takes away.

    Equal streams leave every bucket at zero; others leave a bucket at zero by a chance of 1 in 2^61. The
    hashes are this process's own, and mean nothing elsewhere.
    """

    def __init__(self) -> None:
        self._sums = [0] * BUCKETS

    def add(self, item: Hashable) -> None:
        """Count an item of the first stream."""
        value = hash(item)
        self._sums[value % BUCKETS] += value

    def take(self, item: Hashable) -> None:
        """Count an item of the second stream."""
        value = hash(item)
        self._sums[value % BUCKETS] -= value

    def odd_buckets(self) -> list[int]:
        """Return the buckets that hold the difference."""
        return [index for index, total in enumerate(self._sums) if total]


def bucket_of(item: Hashable) -> int:
    """Return the bucket that an item falls into."""
    return hash(item) % BUCKETS
