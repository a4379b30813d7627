"""Ids that one of the bots has claimed, such as ids of deliveries, which Slack may repeat."""

from app.storage.database import execute_or_log
from app.storage.storage import Storage

RETENTION_SECONDS = 24 * 3600.0


class ClaimedIds:
    """Claim ids for one bot. If the database fails, each claim succeeds."""

    def __init__(self, storage: Storage):
        self._database = storage.database

    def claim(self, entry: str) -> bool:
        """Claim an id. Return False if it was claimed before."""
        statement = (
            f"INSERT INTO claimed_ids (id, claimed_at) VALUES (?, {self._database.now}) "
            "ON CONFLICT (id) DO NOTHING RETURNING id"
        )
        rows = execute_or_log(self._database, statement, entry)
        return rows is None or bool(rows)

    def contains(self, entry: str) -> bool:
        """Return whether the id was claimed."""
        return bool(execute_or_log(self._database, "SELECT 1 FROM claimed_ids WHERE id = ?", entry))

    def remove(self, entry: str) -> None:
        """Allow an id to be claimed again."""
        execute_or_log(self._database, "DELETE FROM claimed_ids WHERE id = ?", entry)

    def remove_old(self) -> None:
        """Remove ids that Slack does not repeat any more."""
        execute_or_log(
            self._database,
            f"DELETE FROM claimed_ids WHERE claimed_at < {self._database.now} - ?",
            RETENTION_SECONDS,
        )
