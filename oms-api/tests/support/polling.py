"""Wait for what another thread or process does."""

import time
from collections.abc import Callable
from typing import Any

WAIT_SECONDS = 120.0  # generous: tests run on slow, shared machines too
MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.005, 0.05


def wait_until(condition: Callable[[], Any], description: str = "", *, seconds: float = WAIT_SECONDS) -> Any:
    """Return the first true value of a condition. Fail after the timeout.

    The pauses grow, so that a long wait for a response of the OMS stays below its rate limit.
    """
    deadline, pause = time.monotonic() + seconds, MIN_PAUSE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {description or 'the condition'}"
        time.sleep(pause)
        pause = min(pause * 1.2, MAX_PAUSE_SECONDS)
    return value
