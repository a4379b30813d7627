"""Store who looks at the overview, for all bots: any of them may get the event that changes it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from app.storage.database import execute_or_log
from app.storage.storage import Storage


@dataclass(frozen=True)
class StoredViewer:
    """A person and the tab that they chose. `active_at` is in Unix seconds."""

    user: str
    tab: str
    active_at: float


class ViewerStore:
    """The people of a workspace who opened the overview. `get_team` returns the workspace."""

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._get_team = get_team

    def save(self, viewer: StoredViewer) -> None:
        """Store that a person opened the overview, or chose a tab."""
        execute_or_log(self._database, _SAVE, self._get_team(), viewer.user, viewer.tab, viewer.active_at)

    def list_active(self, tabs: Collection[str], since: float) -> list[StoredViewer]:
        """Return the people who chose one of these tabs and were active since then."""
        rows = execute_or_log(self._database, _LIST, self._get_team(), since) or []
        return [StoredViewer(*row) for row in rows if row[1] in tabs]

    def remove_idle(self, before: float) -> None:
        """Remove the people who were not active since then."""
        execute_or_log(self._database, "DELETE FROM overview_viewers WHERE active_at < ?", before)


_SAVE = """INSERT INTO overview_viewers (team, member, tab, active_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (team, member) DO UPDATE SET tab = excluded.tab, active_at = excluded.active_at
    WHERE overview_viewers.active_at <= excluded.active_at"""
_LIST = """SELECT member, tab, active_at FROM overview_viewers
    WHERE team = ? AND active_at >= ? ORDER BY active_at DESC LIMIT 1000"""
