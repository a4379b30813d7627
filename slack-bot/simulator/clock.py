"""The clock of the simulator: the time of the machine plus an offset that tests can increase."""

import time


class Clock:
    """Time in seconds since 1970. ``advance`` lets a trigger expire without waiting."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Return the simulated time."""
        return time.time() + self._ahead_seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead_seconds += seconds
