"""A clock that a test sets."""

from datetime import UTC, datetime


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
