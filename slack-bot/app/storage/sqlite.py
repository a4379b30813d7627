"""An SQLite file of one bot, or a database in memory that lasts as long as the bot."""

import os
import sqlite3
import threading

from app.storage.database import DatabaseError, Row
from app.storage.schema import ADDED_COLUMNS, MESSAGES, TABLES

IN_MEMORY = ":memory:"
LOCK_TIMEOUT_SECONDS = 10.0  # a stopping bot holds the lock for up to 5 seconds
WRITE_TIMEOUT_SECONDS = 5.0  # `python -m app.workspaces` writes beside the bot


class SqliteDatabase:
    """One connection for all threads.

    The bot holds a lock on a second file, because one bot uses one file. Commands of the operator do not
    take it: they may run beside the bot.
    """

    is_shared = False
    now = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, path: str = IN_MEMORY, *, is_locked: bool = True):
        """Open the file, and create the tables. Raises `DatabaseError`."""
        self._mutex = threading.Lock()
        self._lock_file: sqlite3.Connection | None = None
        try:
            if path != IN_MEMORY:
                _create_private(path)
                self._lock_file = _lock_file(f"{path}-lock") if is_locked else None
            self._connection = sqlite3.connect(
                path, timeout=WRITE_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            self._release_lock()
            raise DatabaseError(str(error)) from None
        try:
            for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", *TABLES):
                self.execute(statement)
            self._add_missing_columns()
            self._add_team_to_messages_key()
        except DatabaseError:
            self.close()
            raise

    def execute(self, statement: str, *values: object) -> list[Row]:
        """Run a statement and return its rows."""
        try:
            with self._mutex:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise DatabaseError(f"{type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Close the file, and release its lock."""
        with self._mutex:
            self._connection.close()
            self._release_lock()

    def _release_lock(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()

    def _add_missing_columns(self) -> None:
        for table, definition in ADDED_COLUMNS:
            column = definition.split(" ", 1)[0]
            columns = self.execute("SELECT name FROM pragma_table_info(?)", table)
            if (column,) not in columns:
                self.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")

    def _add_team_to_messages_key(self) -> None:
        """Build the table of messages again if an earlier version has created it."""
        query = "SELECT 1 FROM pragma_table_info('order_messages') WHERE name = 'team' AND pk > 0"
        if not self.execute(query):
            for statement in _REBUILD_MESSAGES:
                self.execute(statement)


_MESSAGE_COLUMNS = 'order_id, kind, channel, ts, team, "user", sequence, legs, is_open, checked_at, owner'
_REBUILD_MESSAGES = (
    "BEGIN IMMEDIATE",
    "ALTER TABLE order_messages RENAME TO earlier_messages",
    MESSAGES,
    f"INSERT INTO order_messages ({_MESSAGE_COLUMNS}) SELECT {_MESSAGE_COLUMNS} FROM earlier_messages",
    "DROP TABLE earlier_messages",
    "COMMIT",
)


def _create_private(path: str) -> None:
    """Create the file for its owner only."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _lock_file(path: str) -> sqlite3.Connection:
    """Lock a file until the connection is closed or the process ends. Raises `sqlite3.Error`."""
    _create_private(path)
    connection = sqlite3.connect(
        path, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
