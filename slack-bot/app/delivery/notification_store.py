"""Store notifications of people and channels until they are sent."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass

from app.storage.database import Row, execute_or_log
from app.storage.storage import Storage

CLAIM_SECONDS = 30.0  # after a crash or a failure, unsent notifications are sent again


@dataclass(frozen=True)
class Notification:
    """A line to send to a person, or to a channel if `channel` is set.

    `key` identifies the event and the recipient, so that a repeated event is sent once. `due_at` is in Unix
    seconds, 0 until the preferences of the person were applied. `attempts` counts the posts whose result is
    unknown, because Slack did not respond or the bot was killed. `thread` is the id of the strategy's message
    whose thread gets the line. `portfolio` is a portfolio that the person must be allowed to see.
    """

    key: str
    team: str
    user: str
    channel: str
    event_type: str
    text: str
    created_at: float
    due_at: float = 0.0
    attempts: int = 0
    thread: str = ""
    portfolio: str = ""

    @property
    def recipient(self) -> str:
        """The channel, else the person."""
        return self.channel or self.user


class NotificationStore:
    """Store the notifications of a workspace, and who subscribed to summaries.

    `get_team` returns the workspace. Notifications of no workspace were stored before it was known.
    """

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._get_team = get_team

    def add(self, notification: Notification) -> None:
        """Store a notification, unless it is stored."""
        self._run_statement(_ADD, *astuple(notification))

    def add_and_claim(self, notification: Notification) -> "NotificationClaim | None":
        """Store a notification that this bot sends now. Return the right to send it.

        If the database fails, return None: it is sent without. If the bot is killed first, the notification
        is sent when it is due.
        """
        rows = execute_or_log(self._database, f"{_ADD} RETURNING key", *astuple(notification))
        return None if rows is None else NotificationClaim(self, notification.key, notification.due_at)

    def list_new(self) -> list[Notification]:
        """Return the notifications without a time, oldest first."""
        rows = self._run_statement(f"{_SELECT} AND due_at = 0 {_ORDER}", self._get_team())
        return [Notification(*row) for row in rows]

    def list_due(self, now: float) -> list[Notification]:
        """Return the notifications to send now, oldest first."""
        rows = self._run_statement(
            f"{_SELECT} AND due_at > 0 AND due_at <= ? {_ORDER}", self._get_team(), now
        )
        return [Notification(*row) for row in rows]

    def set_due(self, key: str, due_at: float) -> None:
        """Set when a new notification is sent."""
        self._run_statement("UPDATE notifications SET due_at = ? WHERE key = ? AND due_at = 0", due_at, key)

    def claim(self, notification: Notification, until: float) -> bool:
        """Return whether this bot may send a notification. Until then, no other bot sends it."""
        return self.extend(notification.key, notification.due_at, until)

    def extend(self, key: str, due_at: float, until: float) -> bool:
        """Begin an attempt to send the notification that is due then. Return False if another bot has it."""
        return bool(self._run_statement(_CLAIM, until, key, due_at))

    def retract(self, key: str) -> None:
        """Record that Slack refused the last attempt: nothing was posted."""
        self._run_statement(
            "UPDATE notifications SET attempts = attempts - 1 WHERE key = ? AND attempts > 0", key
        )

    def redirect(self, notification: Notification, text: str, due_at: float) -> None:
        """Send a notification to the person instead of the channel."""
        self._run_statement(_REDIRECT, text, due_at, notification.key)

    def remove(self, key: str) -> None:
        """Remove a notification that was sent, or that no recipient wants."""
        self._run_statement("DELETE FROM notifications WHERE key = ?", key)

    def remove_replaced(self, newer: Notification) -> None:
        """Remove the other notifications with the type and the thread of a newer one."""
        self._run_statement(_REMOVE_REPLACED, newer.team, newer.event_type, newer.thread, newer.key)

    def subscribe(self, team: str, user: str) -> None:
        """Record that a person subscribed to summaries."""
        self._run_statement(_SUBSCRIBE, team, user)

    def unsubscribe(self, team: str, user: str) -> None:
        """Record that a person unsubscribed from summaries."""
        self._run_statement("DELETE FROM summary_readers WHERE team = ? AND member = ?", team, user)

    def list_subscribers(self) -> list[tuple[str, str]]:
        """Return the workspace and the user of each person who subscribed to summaries."""
        team = self._get_team()
        rows = self._run_statement("SELECT member FROM summary_readers WHERE team = ?", team)
        return [(team, user) for (user,) in rows]

    def _run_statement(self, statement: str, *values: object) -> list[Row]:
        """Run a statement and return its rows, none if the database fails."""
        return execute_or_log(self._database, statement, *values) or []


@dataclass
class NotificationClaim:
    """The right to send one notification at once, outside the queue of due notifications."""

    store: NotificationStore
    key: str
    due_at: float

    def begin(self) -> bool:
        """Record that a call to Slack starts. Return False if another bot has taken the notification over."""
        until = time.time() + CLAIM_SECONDS
        is_mine = self.store.extend(self.key, self.due_at, until)
        self.due_at = until
        return is_mine

    def retract(self) -> None:
        """Record that Slack refused the message: it was certainly not posted."""
        self.store.retract(self.key)

    def finish(self) -> None:
        """Record that Slack accepted the message."""
        self.store.remove(self.key)


_ADD = """INSERT INTO notifications
        (key, team, member, channel, event_type, text, created_at, due_at, attempts, thread, portfolio)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"""
_SELECT = """SELECT key, team, member, channel, event_type, text, created_at, due_at, attempts, thread,
        portfolio
    FROM notifications WHERE team IN (?, '')"""
_CLAIM = """UPDATE notifications SET due_at = ?, attempts = attempts + 1 WHERE key = ? AND due_at = ?
    RETURNING key"""
_REDIRECT = "UPDATE notifications SET channel = '', text = ?, due_at = ?, attempts = 0 WHERE key = ?"
_REMOVE_REPLACED = "DELETE FROM notifications WHERE team = ? AND event_type = ? AND thread = ? AND key <> ?"
_ORDER = "ORDER BY created_at, key LIMIT 1000"
_SUBSCRIBE = "INSERT INTO summary_readers VALUES (?, ?) ON CONFLICT (team, member) DO NOTHING"
