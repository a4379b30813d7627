"""Up to where the events are final.

Ids are drawn before their transactions commit, so that a reader who goes by ascending ids would skip what
commits late. A transaction that draws an id has written something before, and so has a number.
"""

from typing import NamedTuple


class Sighting(NamedTuple):
    """The highest id that was seen. A moment later, all transactions below `ended_below` had ended, and all
    that had begun were below `begun_below`.
    """

    highest: int
    ended_below: int
    begun_below: int


class Horizon(NamedTuple):
    """All events up to `safe` are final; those up to `pending.highest` once the transactions that were under
    way at that sighting have ended.
    """

    safe: int = 0
    pending: Sighting | None = None


def advanced(horizon: Horizon, seen: Sighting) -> Horizon:
    """Return the horizon after another sighting."""
    safe, pending = horizon
    if seen.ended_below >= seen.begun_below:  # nothing is under way
        return Horizon(max(safe, seen.highest))
    if pending is not None and seen.ended_below >= pending.begun_below:
        return Horizon(max(safe, pending.highest), seen)
    return Horizon(safe, pending or seen)
