"""Find time zones by a part of their name."""

from functools import cache
from zoneinfo import available_timezones

MAX_FOUND = 100
USUAL_TIME_ZONES = (
    "UTC", "America/New_York", "America/Chicago", "America/Los_Angeles", "Europe/London", "Europe/Berlin",
    "Europe/Zurich", "Asia/Kolkata", "Asia/Singapore", "Asia/Hong_Kong", "Asia/Tokyo", "Australia/Sydney",
)  # fmt: skip


def find_time_zones(part: str) -> list[str]:
    """Return names of the IANA database that contain the text, at most 100. Without a text, usual ones."""
    prefix = part.strip().casefold().replace(" ", "_")
    if not prefix:
        return list(USUAL_TIME_ZONES)
    return [name for name in _list_names() if prefix in name.casefold()][:MAX_FOUND]


@cache
def _list_names() -> tuple[str, ...]:
    return tuple(sorted(available_timezones() | set(USUAL_TIME_ZONES)))
