"""The database of the bot: an SQLite file of one bot, or a PostgreSQL database that several bots share."""

import logging
from typing import Any, Protocol

log = logging.getLogger(__name__)

Row = tuple[Any, ...]


class DatabaseError(Exception):
    """Raised when the database did not execute a statement, or cannot be opened."""


class Database(Protocol):
    """Execute single statements from any thread. Parameters are written as `?`.

    Each statement is a separate transaction, so a claim is one `INSERT` or `UPDATE` with `RETURNING`.
    `now` is an SQL expression: the time of the database in Unix seconds. The clocks of bots may differ.
    `is_shared` is true if other bots may use the database at the same time.
    """

    is_shared: bool
    now: str

    def execute(self, statement: str, *values: object) -> list[Row]:
        """Run a statement and return its rows. Raises `DatabaseError`."""

    def close(self) -> None:
        """Close the connections."""


def execute_or_log(database: Database, statement: str, *values: object) -> list[Row] | None:
    """Run a statement and return its rows. If the database fails, log it and return None."""
    try:
        return database.execute(statement, *values)
    except DatabaseError as error:
        log.warning("Database of the bot failed", extra={"fault": str(error)})
        return None
