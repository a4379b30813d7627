"""Wait for what happens in another thread or process and signals nothing."""

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_SECONDS = 200.0  # a slow, shared machine needs them; a condition that holds ends the wait at once
_POLL_SECONDS = 0.01

Found = TypeVar("Found")


def wait_until(
    condition: Callable[[], Found], label: str = "the condition", seconds: float = WAIT_SECONDS
) -> Found:
    """Return the first true value of a condition. Fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{label} did not come true within {seconds:g} s"
        time.sleep(_POLL_SECONDS)
    return found
