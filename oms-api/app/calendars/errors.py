"""Errors of calendars."""

from datetime import date

from app.errors import FieldError, Invalid


class SessionsUnknown(Invalid):
    """Raised when the sessions of the market on that date are not known."""

    kind, title = "sessions-unknown", "The sessions of that date are not known"

    def __init__(self, market: str, known_from: date, known_until: date, field: str | None = None) -> None:
        detail = (
            f"Sessions of {market} are known from {known_from} to {known_until}, "
            "except on dates whose hours were not published. Send one of these dates."
        )
        errors = [] if field is None else [FieldError(field, detail, "sessions_unknown")]
        super().__init__(detail, errors)


class UnknownSegment(Invalid):
    """Raised when the market has no such segment."""

    def __init__(self, market: str, segment: str) -> None:
        detail = f"{market} has no segment {segment}; correct `segment`."
        super().__init__(detail, [FieldError("segment", detail, "unknown_segment")])


class DayNotSettable(Invalid):
    """Raised when the sessions of that date cannot be set.

    The market never closes, or the date is too far beyond its table.
    """

    def __init__(self, market: str, known_from: date | None = None, latest: date | None = None) -> None:
        detail = f"{market} never closes; its dates cannot be set."
        if known_from is not None:
            detail = f"Dates of {market} can be set from {known_from} to {latest}."
        super().__init__(detail, [FieldError("date", detail, "not_settable")])
