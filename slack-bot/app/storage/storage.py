"""The database of the bot and the parts that its stores share."""

from dataclasses import dataclass

from app.storage.bot_registry import BotRegistry
from app.storage.database import Database
from app.storage.sqlite import SqliteDatabase


@dataclass(frozen=True)
class Storage:
    """A database, and the registry of the bots that use it."""

    database: Database
    bots: BotRegistry

    def close(self) -> None:
        """Release the claims of this bot, and close the database."""
        self.bots.retire()
        self.database.close()


def create_storage(database: Database | None = None) -> Storage:
    """Return the storage of a database. Without one, everything is kept in memory."""
    database = database or SqliteDatabase()
    return Storage(database, BotRegistry(database))
