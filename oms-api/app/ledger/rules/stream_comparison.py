"""Compare two streams of items, in any order, in constant memory."""

from collections.abc import Hashable

BUCKET_COUNT = 1024


class StreamComparison:
    """Sums of hashes in buckets: the first stream adds, the second subtracts.

    Equal streams leave every bucket at zero. For different streams the chance that a bucket is zero is 1 in
    2^61. The hashes are valid only within this process.
    """

    def __init__(self) -> None:
        self._sums = [0] * BUCKET_COUNT

    def add(self, item: Hashable) -> None:
        """Add an item of the first stream."""
        value = hash(item)
        self._sums[value % BUCKET_COUNT] += value

    def subtract(self, item: Hashable) -> None:
        """Subtract an item of the second stream."""
        value = hash(item)
        self._sums[value % BUCKET_COUNT] -= value

    def list_different_buckets(self) -> list[int]:
        """Return the buckets that are not zero."""
        return [index for index, total in enumerate(self._sums) if total]


def compute_bucket(item: Hashable) -> int:
    """Return the bucket of an item."""
    return hash(item) % BUCKET_COUNT
