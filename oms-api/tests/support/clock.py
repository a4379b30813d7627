"""A clock that a test sets, and the end of the real day."""

from datetime import UTC, datetime, timedelta

DAY_END_SECONDS = 20.0  # longer than a test takes that places orders, on a slow machine


class SetClock:
    """Returns the instant that it was set to, in UTC."""

    def __init__(self, at: str) -> None:
        self.at = datetime.fromisoformat(at).replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the current instant."""
        return self.at

    def set(self, at: str) -> None:
        """Set the clock, such as to 2026-11-20T12:00."""
        self.at = datetime.fromisoformat(at).replace(tzinfo=UTC)


def compute_wait_for_next_day(now: datetime, within_seconds: float = DAY_END_SECONDS) -> float:
    """Return the seconds until the UTC day is over if it ends within so many, else 0."""
    next_day = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    remaining_seconds = (next_day - now).total_seconds()
    return remaining_seconds if remaining_seconds < within_seconds else 0.0
