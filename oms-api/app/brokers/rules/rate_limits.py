"""The number of requests that a broker still accepts after a time."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo


class RateLimit(NamedTuple):
    """At most `capacity` requests at once, which become available again evenly within the window.

    With `resets_daily`, the name of a time zone, all become available at its midnight instead.
    """

    capacity: int
    window_seconds: float
    resets_daily: str | None = None


def refill(limit: RateLimit, level: float, since: datetime, now: datetime) -> float:
    """Return the requests that are left now, given the requests that were left at `since`."""
    if limit.resets_daily is not None:
        zone = ZoneInfo(limit.resets_daily)
        is_new_day = now.astimezone(zone).date() > since.astimezone(zone).date()
        return float(limit.capacity) if is_new_day else level
    seconds = max((now - since).total_seconds(), 0.0)
    return min(float(limit.capacity), level + seconds * limit.capacity / limit.window_seconds)
