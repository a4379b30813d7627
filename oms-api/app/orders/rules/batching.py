"""Split keys into batches of limited size, each for one transaction."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

KeyT = TypeVar("KeyT")


def split_keys_by_order_count(
    counts: Iterable[tuple[KeyT, int]], max_orders: int
) -> Iterator[tuple[KeyT, ...]]:
    """Yield batches of the keys, in order, with at most `max_orders` orders each.

    `counts` has the number of orders of each key. A key with more orders is a batch by itself.
    """
    batch: list[KeyT] = []
    total = 0
    for key, count in counts:
        if batch and total + count > max_orders:
            yield tuple(batch)
            batch = []
            total = 0
        batch.append(key)
        total += count
    if batch:
        yield tuple(batch)
