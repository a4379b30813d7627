"""Errors of the day close."""

from app.errors import Conflict, NotFound


class DayAlreadyClosed(Conflict):
    """Raised when the day was signed off before. Its figures never change."""

    kind, title = "day-already-closed", "The day was signed off before"

    def __init__(self, date: str, signed_by: str, signed_at: str) -> None:
        super().__init__(
            f"{signed_by} signed off {date} at {signed_at}; read it with `GET /day-close/{date}`."
        )


class DayNotOver(Conflict):
    """Raised when the day has not ended for all portfolios."""

    kind, title = "day-not-over", "The day is not over"

    def __init__(self, date: str, ends_at: str) -> None:
        super().__init__(f"{date} ends at {ends_at}; sign it off afterwards.")


class CloseNotStored(Conflict):
    """Raised when the day ended a moment ago, and the equity at its close is not stored yet."""

    kind, title = "close-not-stored", "The figures of the close are not stored yet"

    def __init__(self, name: str, closed_at: str) -> None:
        super().__init__(
            f"The close of {name!r} at {closed_at} is not stored yet; send the request again in a minute."
        )


class NoSuchDayClose(NotFound):
    """Raised when the day is not signed off, or has no figures of the portfolio that the caller may see."""

    def __init__(self, date: str, portfolio: str | None = None) -> None:
        of = "" if portfolio is None else f" for portfolio {portfolio!r}"
        super().__init__(f"There is no day close of {date}{of}; sign it off with `POST /day-close/{date}`.")
