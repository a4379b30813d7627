"""Errors of alerts."""

from app.errors import Conflict, NotFound


class NoSuchAlert(NotFound):
    """Raised when the caller has no such alert."""

    def __init__(self, alert_id: str) -> None:
        super().__init__(f"You have no alert {alert_id}; list your alerts with `GET /alerts`.")


class TooManyAlerts(Conflict):
    """Raised when the tenant, or the caller, has the maximum number of alerts."""

    kind, title = "too-many-alerts", "Too many alerts"
