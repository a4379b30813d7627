"""Wait for conditions in another thread or process that sends no signal."""

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_SECONDS = 200.0  # a slow, shared machine needs them; a condition that holds ends the wait at once
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.005, 0.05

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found], label: str = "the condition", seconds: float = WAIT_SECONDS
) -> Found:
    """Return the first true value of a condition. Fail after so many seconds.

    The pauses grow, so that a long wait for a response of the OMS stays below its rate limit.
    """
    deadline, pause = time.monotonic() + seconds, _MIN_PAUSE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{label} did not come true within {seconds:g} s"
        time.sleep(pause)
        pause = min(pause * 1.2, _MAX_PAUSE_SECONDS)
    return value
