"""Errors of the reconciliation."""

from app.errors import Conflict, NotFound


class NoSuchIssue(NotFound):
    """The tenant has no such issue."""

    def __init__(self, issue_id: str) -> None:
        super().__init__(f"There is no issue {issue_id!r}; list them with `GET /reconciliation/issues`.")


class IssueResolved(Conflict):
    """The issue is resolved already."""

    def __init__(self, issue_id: str) -> None:
        super().__init__(f"The issue {issue_id!r} is resolved already.")
