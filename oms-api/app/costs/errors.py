"""Errors of costs."""

from datetime import date

from app.errors import FieldError, Invalid


class RateUnknown(Invalid):
    """Raised when no rate is recorded for that date. Charges are never estimated without one."""

    def __init__(self, schedule: str, component: str, on: date, first: date) -> None:
        message = (
            f"The rate of {component} in schedule {schedule} is unknown on {on}. Use {first} or a later date."
        )
        super().__init__(message, [FieldError("date", message, "rate_unknown")])
