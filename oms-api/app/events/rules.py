"""The id up to which the events are final.

Ids are drawn before their transactions commit. A reader in id order could therefore skip a late commit. A
transaction that draws an id has written before, so it has a transaction number.
"""

from typing import NamedTuple


class Sighting(NamedTuple):
    """The highest id, and the transactions that were running shortly after.

    All transactions below `ended_below` had ended, and all that had begun were below `begun_below`.
    """

    highest: int
    ended_below: int
    begun_below: int


class Horizon(NamedTuple):
    """All events up to `safe` are final.

    Those up to `pending.highest` are final once the transactions of that sighting have ended.
    """

    safe: int = 0
    pending: Sighting | None = None


def advance_horizon(horizon: Horizon, seen: Sighting) -> Horizon:
    """Return the horizon after another sighting."""
    safe, pending = horizon
    if seen.ended_below >= seen.begun_below:  # no transaction is running
        return Horizon(max(safe, seen.highest))
    if pending is not None and seen.ended_below >= pending.begun_below:
        return Horizon(max(safe, pending.highest), seen)
    return Horizon(safe, pending or seen)
