"""Store the orders that were sent and whose message is not posted yet, so that a restart loses none."""

from dataclasses import astuple, dataclass
from enum import StrEnum

from app.delivery.confirmation_store import ConfirmationStore


class PendingState(StrEnum):
    """The progress of an order's message, as stored."""

    SUBMITTED = "submitted"  # this process sends the order, or its message is queued
    UNKNOWN = "unknown"  # it is unknown whether the OMS has the order
    POSTING = "posting"  # the message was sent to Slack; no answer yet
    INTERRUPTED = "interrupted"  # the process ended during the call to Slack


@dataclass(frozen=True)
class PendingOrder:
    """An order that was sent. `key` is its idempotency key and client order id."""

    key: str
    submitted_at: float  # Unix seconds
    team: str
    user: str
    channel: str
    request_id: str
    order_text: str
    state: PendingState = PendingState.SUBMITTED


class PendingOrderStore:
    """Store pending orders next to the owed confirmations."""

    def __init__(self, store: ConfirmationStore):
        """Create the table, and adopt the rows of an earlier process."""
        self._store = store
        for statement in (_SETUP, *_ADOPT):
            store.execute(statement)

    def add(self, pending: PendingOrder) -> None:
        """Store an order before it is sent."""
        self._store.execute(_ADD, *astuple(pending))

    def set_state(self, key: str, state: PendingState) -> None:
        """Record the progress."""
        self._store.execute("UPDATE pending_orders SET state = ? WHERE key = ?", state.value, key)

    def remove(self, key: str) -> None:
        """Remove an order whose message was posted, or that was not placed."""
        self._store.execute("DELETE FROM pending_orders WHERE key = ?", key)

    def list_unresolved(self) -> list[PendingOrder]:
        """Return the orders to find in the OMS, oldest first."""
        rows = self._store.execute(_LIST_UNRESOLVED)
        return [
            PendingOrder(key, submitted_at, team, user, channel, request_id, order_text, PendingState(state))
            for key, submitted_at, team, user, channel, request_id, order_text, state in rows
        ]


_SETUP = """CREATE TABLE IF NOT EXISTS pending_orders (
    key TEXT PRIMARY KEY, submitted_at REAL NOT NULL, team TEXT NOT NULL, user TEXT NOT NULL,
    channel TEXT NOT NULL, request_id TEXT NOT NULL, order_text TEXT NOT NULL, state TEXT NOT NULL
)"""
_ADOPT = (
    "UPDATE pending_orders SET state = 'interrupted' WHERE state = 'posting'",
    "UPDATE pending_orders SET state = 'unknown' WHERE state = 'submitted'",
)
_ADD = "INSERT OR REPLACE INTO pending_orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LIST_UNRESOLVED = """SELECT key, submitted_at, team, user, channel, request_id, order_text, state
    FROM pending_orders WHERE state IN ('unknown', 'interrupted') ORDER BY submitted_at LIMIT 100"""
