"""A clock of the writer that tests set."""

import time


class WriterClock:
    """Replaces the module `time` of the writer."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the time that the test has set."""
        return self.now

    @staticmethod
    def sleep(seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)
