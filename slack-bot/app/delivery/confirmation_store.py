"""Store the confirmations to be sent in an SQLite file, so that they survive a restart.

A row is added before a trade is sent to the OMS, and removed after Slack has accepted the confirmation. The
state of a row tells a restarted bot what to do.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
LOCK_TIMEOUT_SECONDS = 10.0  # a stopping bot holds the lock for up to 5 seconds
IN_MEMORY_URL = "sqlite://"
FILE_URL_PREFIX = "sqlite:///"


class State(StrEnum):
    """The progress of a confirmation, as stored."""

    SUBMITTED = "submitted"  # the trade was sent to the OMS by this process
    UNKNOWN = "unknown"  # the trade was sent; it is unknown whether the OMS recorded it
    QUEUED = "queued"  # the confirmation is queued
    SENDING = "sending"  # the confirmation was sent to Slack; no answer yet
    INTERRUPTED = "interrupted"  # the process ended during the call to Slack
    REPEATING = "repeating"  # sent again with a note; not sent a third time after another crash


@dataclass(frozen=True)
class OwedConfirmation:
    """A confirmation that has to be sent. Times are Unix seconds; `response_url` may be empty."""

    key: str  # the idempotency key of the trade
    submitted_at: float
    team: str
    user: str
    channel: str
    view_id: str
    root_view_id: str
    request_id: str
    order_text: str
    response_url: str
    response_url_expires_at: float


@dataclass(frozen=True)
class UnresolvedConfirmation:
    """A confirmation of which it is unknown whether it must be sent, or whether it was sent."""

    owed: OwedConfirmation
    is_interrupted: bool


@dataclass(frozen=True)
class _Progress:
    state: State
    is_owed: bool  # left by an earlier submission of the form or an earlier process
    submitted_at: float

    @property
    def is_unclaimed(self) -> bool:
        return self.state in (State.SUBMITTED, State.UNKNOWN)


class ConfirmationStore:
    """Store confirmations over one connection for all threads.

    An error of the file is logged; it delays no trade and no confirmation.
    """

    def __init__(self, database: str = ":memory:"):
        """Open the file and adopt the rows of an earlier process. Raises `sqlite3.Error`, `OSError`."""
        if database != ":memory:":
            os.close(os.open(database, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            database, timeout=LOCK_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            for statement in (*_SETUP, *_ADOPT):
                self._connection.execute(statement)
        except sqlite3.Error:
            self._connection.close()
            raise

    def add(self, owed: OwedConfirmation) -> None:
        """Store a confirmation before its trade is sent.

        A confirmation of an earlier, unresolved submission of the form stays owed.
        """
        self._run(lambda: self._connection.execute(_ADD, astuple(owed)), None)

    def release(self, key: str, *, is_unknown: bool) -> None:
        """Remove a confirmation that is not needed any more. Keep it if the trade may have been recorded."""

        def run() -> None:
            self._connection.execute(_KEEP, (key, is_unknown))
            self._connection.execute(
                "DELETE FROM owed_confirmations WHERE key = ? AND state = 'submitted'", (key,)
            )

        self._run(run, None)

    def claim(self, key: str) -> "Receipt | None":
        """Return the right to send the confirmation. None if it is claimed or not stored."""
        return self._claim(key, lambda found: found.is_unclaimed)

    def claim_owed(self, key: str) -> "Receipt | None":
        """Return the right to send it if an earlier submission of the form left it owed."""
        return self._claim(key, lambda found: found.is_unclaimed and found.is_owed)

    def claim_unresolved(self, owed: OwedConfirmation) -> "Receipt | None":
        """Return the right to send it, unless the form was submitted again since then."""
        return self._claim(
            owed.key, lambda found: found.submitted_at == owed.submitted_at and found.state in _UNRESOLVED
        )

    def list_unresolved(self) -> list[UnresolvedConfirmation]:
        """Return the confirmations to look up in the OMS, oldest first."""

        def run() -> list[UnresolvedConfirmation]:
            rows = self._connection.execute(_LIST_UNRESOLVED).fetchall()
            return [
                UnresolvedConfirmation(OwedConfirmation(*columns), state == State.INTERRUPTED)
                for *columns, state in rows
            ]

        return self._run(run, [])

    def remove_submitted_before(self, instant: float) -> int:
        """Remove unresolved confirmations of older trades. Return their number."""
        statement = (
            "DELETE FROM owed_confirmations WHERE submitted_at < ? AND state IN ('unknown', 'interrupted')"
        )
        return self._run(lambda: self._connection.execute(statement, (instant,)).rowcount, 0)

    def set_state(self, receipt: "Receipt", previous: State, current: State) -> None:
        """Change the state of a claimed confirmation if it is in the previous state."""
        row = (current, receipt.key, receipt.submitted_at, previous)
        statement = "UPDATE owed_confirmations SET state = ? WHERE key = ? AND submitted_at = ? AND state = ?"
        self._run(lambda: self._connection.execute(statement, row), None)

    def remove(self, receipt: "Receipt") -> None:
        """Remove a confirmation that was delivered."""
        statement = "DELETE FROM owed_confirmations WHERE key = ? AND submitted_at = ?"
        self._run(lambda: self._connection.execute(statement, (receipt.key, receipt.submitted_at)), None)

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement of another store of this file. Return its rows, none if the file failed."""
        return self._run(lambda: self._connection.execute(statement, values).fetchall(), [])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _claim(self, key: str, is_allowed: "Callable[[_Progress], bool]") -> "Receipt | None":
        def run() -> Receipt | None:
            row = self._connection.execute(_FIND, (key,)).fetchone()
            if row is None or not is_allowed(found := _Progress(State(row[0]), bool(row[1]), row[2])):
                return None
            current = State.REPEATING if found.state is State.INTERRUPTED else State.QUEUED
            self._connection.execute("UPDATE owed_confirmations SET state = ? WHERE key = ?", (current, key))
            return Receipt(self, key, found.submitted_at)

        return self._run(run, None)

    def _run(self, work: Callable[[], T], default: T) -> T:
        """Run a statement under the lock. Log an error of the file and return the default."""
        try:
            with self._lock:
                return work()
        except sqlite3.Error as error:
            log.warning("Confirmation store failed", extra={"fault": type(error).__name__})
            return default


@dataclass(frozen=True)
class Receipt:
    """The right to send one confirmation. It records the progress in the store."""

    store: ConfirmationStore
    key: str
    submitted_at: float

    def begin(self) -> None:
        """Record that the call to Slack starts."""
        self.store.set_state(self, State.QUEUED, State.SENDING)

    def retract(self) -> None:
        """Record that Slack refused the message: it was certainly not posted."""
        self.store.set_state(self, State.SENDING, State.QUEUED)

    def finish(self) -> None:
        """Record that Slack accepted the message."""
        self.store.remove(self)


def open_confirmation_store(url: str) -> ConfirmationStore:
    """Open the store of a `BOT_DATABASE_URL`. Raises `sqlite3.Error`, `OSError`."""
    if url == IN_MEMORY_URL:
        return ConfirmationStore()
    return ConfirmationStore(str(Path(url.removeprefix(FILE_URL_PREFIX)).absolute()))


_UNRESOLVED = (State.UNKNOWN, State.INTERRUPTED)
_SETUP = (
    "PRAGMA locking_mode = EXCLUSIVE",  # one bot per file
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    """CREATE TABLE IF NOT EXISTS owed_confirmations (
        key TEXT PRIMARY KEY, submitted_at REAL NOT NULL, team TEXT NOT NULL, user TEXT NOT NULL,
        channel TEXT NOT NULL, view_id TEXT NOT NULL, root_view_id TEXT NOT NULL, request_id TEXT NOT NULL,
        order_text TEXT NOT NULL, response_url TEXT NOT NULL, response_url_expires_at REAL NOT NULL,
        state TEXT NOT NULL DEFAULT 'submitted', is_owed INTEGER NOT NULL DEFAULT 0
    )""",
)
_ADOPT = (  # the rows of an earlier process
    "DELETE FROM owed_confirmations WHERE state = 'repeating'",
    "UPDATE owed_confirmations SET state = 'interrupted' WHERE state = 'sending'",
    "UPDATE owed_confirmations SET state = 'unknown', is_owed = 1 WHERE state IN ('submitted', 'queued')",
)
_ADD = """INSERT INTO owed_confirmations (key, submitted_at, team, user, channel, view_id, root_view_id,
        request_id, order_text, response_url, response_url_expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET state = 'submitted', submitted_at = excluded.submitted_at,
        request_id = excluded.request_id, order_text = excluded.order_text, view_id = excluded.view_id
    WHERE state IN ('submitted', 'unknown')"""
_KEEP = """UPDATE owed_confirmations SET state = 'unknown', is_owed = 1
    WHERE key = ? AND state = 'submitted' AND (is_owed OR ?)"""
_FIND = "SELECT state, is_owed, submitted_at FROM owed_confirmations WHERE key = ?"
_LIST_UNRESOLVED = """SELECT key, submitted_at, team, user, channel, view_id, root_view_id, request_id,
        order_text, response_url, response_url_expires_at, state
    FROM owed_confirmations WHERE state IN ('unknown', 'interrupted') ORDER BY submitted_at"""
