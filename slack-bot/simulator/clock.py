"""The simulator's clock: the machine's, plus what a test has moved it ahead."""

import time


class Clock:
    """Seconds since 1970; ``advance`` lets a trigger expire without waiting for it."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def now(self) -> float:
        """Return the simulated time."""
        return time.time() + self._ahead_seconds

    def advance(self, seconds: float) -> None:
        """Move the clock ahead."""
        self._ahead_seconds += seconds
