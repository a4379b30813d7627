"""Store what people and channels are to be told, until it was sent."""

from dataclasses import astuple, dataclass

from app.delivery.confirmation_store import ConfirmationStore


@dataclass(frozen=True)
class Notification:
    """A line to send to a person, or to a channel if `channel` is set.

    `key` identifies the event and the recipient, so that a repeated event is told once. `due_at` is in Unix
    seconds, 0 until the preferences of the person were applied.
    """

    key: str
    team: str
    user: str
    channel: str
    event_type: str
    text: str
    created_at: float
    due_at: float = 0.0

    @property
    def recipient(self) -> str:
        """The channel, else the person."""
        return self.channel or self.user


class NotificationStore:
    """Store notifications next to the owed confirmations, and who wants summaries."""

    def __init__(self, store: ConfirmationStore):
        """Create the tables in the file of the confirmations."""
        self._store = store
        for statement in _SETUP:
            store.execute(statement)

    def add(self, notification: Notification) -> None:
        """Store a notification, unless it is stored."""
        self._store.execute(_ADD, *astuple(notification))

    def list_new(self) -> list[Notification]:
        """Return the notifications without a time, oldest first."""
        return [Notification(*row) for row in self._store.execute(f"{_SELECT} WHERE due_at = 0 {_ORDER}")]

    def list_due(self, now: float) -> list[Notification]:
        """Return the notifications to send now, oldest first."""
        rows = self._store.execute(f"{_SELECT} WHERE due_at > 0 AND due_at <= ? {_ORDER}", now)
        return [Notification(*row) for row in rows]

    def set_due(self, key: str, due_at: float) -> None:
        """Set when a new notification is sent."""
        self._store.execute("UPDATE notifications SET due_at = ? WHERE key = ? AND due_at = 0", due_at, key)

    def claim(self, notification: Notification, until: float) -> bool:
        """Return whether this bot may send a notification. Until then, no other bot sends it."""
        return bool(self._store.execute(_CLAIM, until, notification.key, notification.due_at))

    def remove(self, key: str) -> None:
        """Remove a notification that was sent, or that nobody wants."""
        self._store.execute("DELETE FROM notifications WHERE key = ?", key)

    def subscribe(self, team: str, user: str) -> None:
        """Record that a person wants summaries."""
        self._store.execute(_SUBSCRIBE, team, user)

    def unsubscribe(self, team: str, user: str) -> None:
        """Record that a person wants no summaries."""
        self._store.execute("DELETE FROM summary_readers WHERE team = ? AND member = ?", team, user)

    def list_subscribers(self) -> list[tuple[str, str]]:
        """Return the workspace and the user of each person who wants summaries."""
        return [
            (team, user) for team, user in self._store.execute("SELECT team, member FROM summary_readers")
        ]


_SETUP = (
    """CREATE TABLE IF NOT EXISTS notifications (
        key TEXT PRIMARY KEY, team TEXT NOT NULL, member TEXT NOT NULL, channel TEXT NOT NULL,
        event_type TEXT NOT NULL, text TEXT NOT NULL, created_at DOUBLE PRECISION NOT NULL,
        due_at DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS summary_readers (
        team TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (team, member)
    )""",
)
_ADD = "INSERT INTO notifications VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"
_SELECT = "SELECT key, team, member, channel, event_type, text, created_at, due_at FROM notifications"
_CLAIM = "UPDATE notifications SET due_at = ? WHERE key = ? AND due_at = ? RETURNING key"
_ORDER = "ORDER BY created_at, key LIMIT 1000"
_SUBSCRIBE = "INSERT INTO summary_readers VALUES (?, ?) ON CONFLICT (team, member) DO NOTHING"
