"""Store which events of the OMS were handled, so that each is handled once by one of the bots."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum, auto

from app.storage.database import Row, execute_or_log
from app.storage.storage import Storage

RETENTION_DAYS = 7.0  # the OMS repeats a delivery for about three days, longer if it is asked to wait
PRUNE_EVERY_EVENTS = 1000  # events


class EventClaim(Enum):
    """Whether a bot may handle an event."""

    NEW = auto()
    HANDLED = auto()
    TAKEN = auto()  # another bot handles it


class EventStore:
    """Ids and times of the events that the bots of a workspace handle. `get_team` returns the workspace.

    If the database fails, an event may be handled again.
    """

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._bot = storage.bots.id
        self._is_dead = storage.bots.is_dead("event_claims.owner")
        self._get_team = get_team
        self._added = 0

    def contains(self, event_id: str) -> bool:
        """Return whether the event was handled."""
        return bool(self._run_statement(_FIND, self._get_team(), event_id))

    def claim(self, event_id: str, created_at: str) -> EventClaim:
        """Take the right to handle an event. A claim of a crashed bot passes to this one."""
        rows = self._run_statement(
            f"{_CLAIM}{self._is_dead}) RETURNING id", self._get_team(), event_id, created_at, self._bot
        )
        if rows is None or rows:
            return EventClaim.NEW
        return EventClaim.HANDLED if self.contains(event_id) else EventClaim.TAKEN

    def add(self, event_id: str, created_at: str) -> None:
        """Store that the event, which the OMS recorded at this time, was handled."""
        self._run_statement(_ADD, self._get_team(), event_id, created_at, self._bot)
        self._added += 1
        if self._added % PRUNE_EVERY_EVENTS == 0:
            self._delete_old_events()

    def find_cursor(self) -> str | None:
        """Return the time of the newest handled event. None if the bot never received events."""
        rows = self._run_statement(_FIND_CURSOR, self._get_team())
        return rows[0][0] if rows else None

    def _delete_old_events(self) -> None:
        """Remove the events that are a week older than the newest one."""
        newest = self.find_cursor()
        if newest is not None:
            oldest = datetime.fromisoformat(newest) - timedelta(days=RETENTION_DAYS)
            self._run_statement(_PRUNE, self._get_team(), oldest.isoformat())

    def _run_statement(self, statement: str, *values: object) -> list[Row] | None:
        return execute_or_log(self._database, statement, *values)


_FIND = "SELECT 1 FROM event_claims WHERE team = ? AND id = ? AND is_handled = 1"
_CLAIM = """INSERT INTO event_claims (team, id, created_at, owner) VALUES (?, ?, ?, ?)
    ON CONFLICT (team, id) DO UPDATE SET owner = excluded.owner
    WHERE event_claims.is_handled = 0 AND (event_claims.owner = excluded.owner OR """
_ADD = """INSERT INTO event_claims (team, id, created_at, owner, is_handled) VALUES (?, ?, ?, ?, 1)
    ON CONFLICT (team, id) DO UPDATE SET is_handled = 1"""
_FIND_CURSOR = """SELECT max(created_at) FROM event_claims WHERE team = ? AND is_handled = 1"""
_PRUNE = "DELETE FROM event_claims WHERE team = ? AND created_at < ?"
