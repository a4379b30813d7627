"""The only module that reads the wall clock. Other code gets the time as an argument."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_JUMP = timedelta(seconds=5)
JUMP_HOLD_SECONDS = 60.0
_MAX_JUMP_SECONDS = MAX_JUMP.total_seconds()
_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_LOG = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


def to_milliseconds(instant: datetime) -> int:
    """Return whole milliseconds since 1970-01-01T00:00Z, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def monotonic_seconds() -> float:
    """Return monotonic seconds, for durations only."""
    return time.monotonic()


def elapsed_seconds() -> float:
    """Return monotonic seconds that, on Linux, also count while the machine is suspended."""
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


class SteadyClock:
    """The wall clock of a process. It follows a forward jump only after JUMP_HOLD_SECONDS.

    A row recorded with a future time keeps it, and ids, filters and as-of reads depend on the time. A clock
    that jumps forward and back within the hold therefore leaves no such row; meanwhile the time continues
    from before the jump. A backward jump is followed immediately. Thread-safe.
    """

    def __init__(self, wall: Now = utc_now, elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._lock = threading.Lock()
        self._last, self._last_elapsed = wall(), elapsed()
        self._jumped_at: float | None = None

    def __call__(self) -> datetime:
        """Return the current time, timezone-aware, in UTC."""
        with self._lock:
            elapsed, wall = self._elapsed(), self._wall()
            seconds = elapsed - self._last_elapsed
            jump = (wall - self._last).total_seconds() - seconds
            if abs(jump) > _MAX_JUMP_SECONDS and self._is_held(jump, elapsed):
                return self._last + timedelta(seconds=seconds)
            self._last, self._last_elapsed, self._jumped_at = wall, elapsed, None
            return wall

    def _is_held(self, seconds: float, elapsed: float) -> bool:
        if seconds < 0:
            _LOG.warning("the clock jumped back by %.1f s", -seconds)
            return False
        if self._jumped_at is None:
            self._jumped_at = elapsed
            _LOG.warning("the clock jumped forward by %.1f s: not followed yet", seconds)
        is_held = elapsed - self._jumped_at < JUMP_HOLD_SECONDS
        if not is_held:
            _LOG.warning("the clock stays ahead by %.1f s: followed from now on", seconds)
        return is_held
