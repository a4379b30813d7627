"""Split the portfolios that a quote concerns into portions, each for one transaction."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

KeyT = TypeVar("KeyT")


def split_by_orders(counts: Iterable[tuple[KeyT, int]], most: int) -> Iterator[tuple[KeyT, ...]]:
    """Yield portions of the keys, in order, with at most `most` orders each.

    A key that has more is a portion by itself.
    """
    portion: list[KeyT] = []
    total = 0
    for key, count in counts:
        if portion and total + count > most:
            yield tuple(portion)
            portion, total = [], 0
        portion.append(key)
        total += count
    if portion:
        yield tuple(portion)
