"""What was worked out under a portfolio's lock and holds until its row says otherwise."""

from typing import Generic, TypeVar

T = TypeVar("T")

MOST_PLACES = 5_000

Place = tuple[int, int]  # tenant id, portfolio id


class Remembered(Generic[T]):
    """Values of portfolios, each under a proof that no other state of that portfolio can bear.

    A batch takes a value out, changes it, and keeps it under the proof that stands after the batch. What a
    failed batch took out is gone, and what it kept is never asked for.
    """

    def __init__(self) -> None:
        self._kept: dict[Place, tuple[str, T]] = {}

    def take(self, place: Place, proof: str) -> T | None:
        """Take out what holds under that proof."""
        kept = self._kept.pop(place, None)
        return kept[1] if kept is not None and kept[0] == proof else None

    def keep(self, place: Place, proof: str, value: T) -> None:
        """Keep a value."""
        if len(self._kept) >= MOST_PLACES:
            self._kept.clear()
        self._kept[place] = proof, value
