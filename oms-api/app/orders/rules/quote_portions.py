"""Split the portfolios that a quote concerns into portions, each for one transaction."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

KeyT = TypeVar("KeyT")


def split_by_order_count(counts: Iterable[tuple[KeyT, int]], max_orders: int) -> Iterator[tuple[KeyT, ...]]:
    """Yield portions of the keys, in order, with at most `max_orders` orders each.

    A key that has more is a portion by itself.
    """
    portion: list[KeyT] = []
    total = 0
    for key, count in counts:
        if portion and total + count > max_orders:
            yield tuple(portion)
            portion, total = [], 0
        portion.append(key)
        total += count
    if portion:
        yield tuple(portion)
