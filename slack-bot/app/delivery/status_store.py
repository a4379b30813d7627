"""The status of people in Slack, as a bot last reported it to the OMS."""

from collections.abc import Callable

from app.storage.database import execute_or_log
from app.storage.storage import Storage


class ReportedStatusStore:
    """The last reported status of each person. `get_team` returns the workspace.

    Slack sends an event for each change of a profile, to any bot. If the database fails, each is reported.
    """

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._get_team = get_team

    def is_reported(self, user: str, status: str) -> bool:
        """Return whether the status of a person equals the last reported status."""
        statement = "SELECT 1 FROM reported_statuses WHERE team = ? AND member = ? AND status = ?"
        return bool(execute_or_log(self._database, statement, self._get_team(), user, status))

    def record(self, user: str, status: str) -> None:
        """Store a status that was reported."""
        execute_or_log(self._database, _RECORD, self._get_team(), user, status)

    def list_members(self, status: str) -> set[str]:
        """Return the user ids of people with this status."""
        statement = "SELECT member FROM reported_statuses WHERE team = ? AND status = ?"
        return {
            str(row[0]) for row in execute_or_log(self._database, statement, self._get_team(), status) or []
        }


_RECORD = """INSERT INTO reported_statuses (team, member, status) VALUES (?, ?, ?)
    ON CONFLICT (team, member) DO UPDATE SET status = excluded.status"""
