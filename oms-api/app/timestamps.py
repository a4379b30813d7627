"""Instants as text: `Timestamp`."""

from datetime import datetime
from typing import NewType

# An instant in UTC as RFC 3339 text with six decimals and a final Z. Timestamps sort like their instants.
Timestamp = NewType("Timestamp", str)
BEFORE_ALL = Timestamp("")  # sorts before every timestamp


def parse_timestamp(timestamp: Timestamp) -> datetime:
    """Return the instant, timezone-aware, in UTC."""
    return datetime.fromisoformat(timestamp)


def iso(instant: datetime) -> Timestamp:
    """Return `instant` (UTC) as a timestamp."""
    return Timestamp(instant.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z")
