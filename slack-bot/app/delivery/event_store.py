"""Store which events of the OMS were handled, in an SQLite file, so that each is handled once."""

import logging
import os
import sqlite3
import threading
from pathlib import Path

log = logging.getLogger(__name__)

RETENTION = "-7 days"  # the OMS repeats a delivery for three days
PRUNE_EVERY = 1000  # events
LOCK_TIMEOUT_SECONDS = 10.0  # a stopping bot holds the lock for up to 5 seconds
IN_MEMORY_URL = "sqlite://"
FILE_URL_PREFIX = "sqlite:///"


class EventStore:
    """Ids and times of the handled events, over one connection for all threads.

    An error of the file is logged; then an event may be handled again after a restart.
    """

    def __init__(self, database: str = ":memory:"):
        """Open the file. Raises `sqlite3.Error`, `OSError`."""
        if database != ":memory:":
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            database, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._added = 0
        try:
            for statement in _SETUP:
                self._connection.execute(statement)
        except sqlite3.Error:
            self._connection.close()
            raise

    def contains(self, event_id: str) -> bool:
        """Return whether the event was handled."""
        return self._find("SELECT 1 FROM handled_events WHERE id = ?", event_id) is not None

    def add(self, event_id: str, created_at: str) -> None:
        """Store that the event, which the OMS recorded at this time, was handled."""
        self._run("INSERT OR IGNORE INTO handled_events (id, created_at) VALUES (?, ?)", event_id, created_at)
        self._added += 1
        if self._added % PRUNE_EVERY == 0:
            self._run(_PRUNE, RETENTION)

    def find_cursor(self) -> str | None:
        """Return the time of the newest handled event. None if the bot never received events."""
        found = self._find("SELECT max(created_at) FROM handled_events")
        return None if found is None else found[0]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _find(self, statement: str, *values: str) -> tuple[str | None] | None:
        try:
            with self._lock:
                found: tuple[str | None] | None = self._connection.execute(statement, values).fetchone()
                return found
        except sqlite3.Error as error:
            log.warning("Event store failed", extra={"fault": type(error).__name__})
            return None

    def _run(self, statement: str, *values: str) -> None:
        try:
            with self._lock:
                self._connection.execute(statement, values)
        except sqlite3.Error as error:
            log.warning("Event store failed", extra={"fault": type(error).__name__})


def open_event_store(url: str) -> EventStore:
    """Open the store beside the file of a `BOT_DATABASE_URL`. Raises `sqlite3.Error`, `OSError`."""
    if url == IN_MEMORY_URL:
        return EventStore()
    path = Path(url.removeprefix(FILE_URL_PREFIX)).absolute()
    return EventStore(str(path.with_name(f"{path.stem}-events{path.suffix}")))


_SETUP = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS handled_events (id TEXT PRIMARY KEY, created_at TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS handled_events_by_time ON handled_events (created_at)",
)
_PRUNE = """DELETE FROM handled_events
    WHERE created_at < (SELECT datetime(max(created_at), ?) FROM handled_events)"""
