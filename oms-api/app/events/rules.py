"""Up to where the events are final.

Ids are drawn before their transactions commit, so that a reader who goes by ascending ids would skip what
commits late. A transaction that draws an id has written something before, and so has a number.
"""

from typing import NamedTuple


class Sighting(NamedTuple):
    """The highest id that was seen, and the transactions a moment later: those below `xmin` had all ended,
    those from `xmax` on had not begun.
    """

    highest: int
    xmin: int
    xmax: int


class Horizon(NamedTuple):
    """All events up to `safe` are final; those up to `pending.highest` once the transactions that were under
    way at that sighting have ended.
    """

    safe: int = 0
    pending: Sighting | None = None


def advanced(horizon: Horizon, seen: Sighting) -> Horizon:
    """Return the horizon after another sighting."""
    safe, pending = horizon
    if seen.xmin >= seen.xmax:  # nothing is under way
        return Horizon(max(safe, seen.highest))
    if pending is not None and seen.xmin >= pending.xmax:
        return Horizon(max(safe, pending.highest), seen)
    return Horizon(safe, pending or seen)
