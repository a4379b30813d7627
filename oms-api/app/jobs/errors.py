"""Errors of jobs."""

from app.errors import NotFound


class NoSuchJob(NotFound):
    """Raised when there is no background job of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no job {name!r}; list them with `GET /jobs`.")
