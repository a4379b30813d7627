"""The bots that use a database. Other bots take over the claims of a crashed bot."""

import secrets

from app.storage.database import Database, execute_or_log

LEASE_SECONDS = 15.0
BEAT_INTERVAL_SECONDS = 3.0


class BotRegistry:
    """Record that this bot is alive, and find the claims of bots that are not.

    A bot that did not beat for `lease_seconds` is dead for the others. If it only paused, it finds at its
    next step that its claims are gone.
    """

    def __init__(self, database: Database, lease_seconds: float = LEASE_SECONDS):
        self.database = database
        self.id = secrets.token_hex(8)
        self._lease_seconds = lease_seconds
        if not database.is_shared:  # the file belongs to one bot, so the earlier ones are dead
            execute_or_log(database, "DELETE FROM bots")
        self.beat()

    def beat(self) -> None:
        """Record that this bot is alive."""
        execute_or_log(
            self.database,
            f"INSERT INTO bots (id, seen_at) VALUES (?, {self.database.now}) "
            "ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
            self.id,
        )

    def retire(self) -> None:
        """Record that this bot ends, so that the others need not wait for its lease."""
        execute_or_log(self.database, "DELETE FROM bots WHERE id = ?", self.id)

    def remove_dead(self) -> None:
        """Remove the records of bots that have been dead for long."""
        execute_or_log(self.database, f"DELETE FROM bots WHERE seen_at < {self.database.now} - 3600.0")

    def is_dead(self, column: str) -> str:
        """Return an SQL condition: the bot whose id is in this column is not alive. This bot is."""
        oldest = f"{self.database.now} - {self._lease_seconds}"
        return f"{column} <> '{self.id}' AND {column} NOT IN (SELECT id FROM bots WHERE seen_at > {oldest})"
