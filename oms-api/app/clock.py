"""The only place that reads the wall clock; everything below the edge is given the time."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def utc_now() -> datetime:
    """Return the present instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def milliseconds(instant: datetime) -> int:
    """Return whole milliseconds since 1970-01-01T00:00Z, rounded down."""
    return (instant - EPOCH) // MILLISECOND


def iso(instant: datetime) -> str:
    """Return `instant` (UTC) as RFC 3339 text with six decimals and a final Z."""
    return instant.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def monotonic_seconds() -> float:
    """Return seconds on a clock that never runs backwards; for durations only."""
    return time.monotonic()
