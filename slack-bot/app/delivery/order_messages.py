"""Store which message in Slack shows which order, so that later changes edit that message."""

import json
import time
from dataclasses import dataclass, field
from enum import StrEnum

from app.delivery.confirmation_store import ConfirmationStore


class MessageKind(StrEnum):
    """What a message is about, as stored."""

    ORDER = "order"
    APPROVAL = "approval"


@dataclass(frozen=True)
class OrderMessage:
    """The message of an order, and the person who placed the order.

    `sequence` is that of the last change of the order that the message tells. `legs` are the exits that it
    shows, by order id, as texts of their state.
    """

    order_id: str
    kind: MessageKind
    channel: str
    ts: str
    team: str
    user: str
    sequence: int = 0
    legs: dict[str, str] = field(default_factory=dict)
    is_open: bool = True


class OrderMessageStore:
    """Store the messages of orders next to the owed confirmations."""

    def __init__(self, store: ConfirmationStore):
        """Create the table in the file of the confirmations."""
        self._store = store
        store.execute(_SETUP)

    def save(self, message: OrderMessage) -> None:
        """Add or replace the message of an order."""
        legs = json.dumps(message.legs, separators=(",", ":"))
        self._store.execute(
            _SAVE,
            message.order_id,
            message.kind.value,
            message.channel,
            message.ts,
            message.team,
            message.user,
            message.sequence,
            legs,
            message.is_open,
            time.time(),
        )

    def find(self, order_id: str, kind: MessageKind) -> OrderMessage | None:
        """Return the message of an order, None if there is none."""
        return next(map(_message, self._store.execute(_FIND, order_id, kind.value)), None)

    def list_open(self, limit: int) -> list[OrderMessage]:
        """Return messages of orders that can still change, those checked longest ago first."""
        return [_message(row) for row in self._store.execute(_LIST_OPEN, limit)]

    def touch(self, message: OrderMessage) -> None:
        """Record that the order was checked now."""
        self._store.execute(_TOUCH, time.time(), message.order_id, message.kind.value)


def _message(row: tuple[object, ...]) -> OrderMessage:
    order_id, kind, channel, ts, team, user, sequence, legs, is_open = row
    return OrderMessage(
        order_id=str(order_id),
        kind=MessageKind(str(kind)),
        channel=str(channel),
        ts=str(ts),
        team=str(team),
        user=str(user),
        sequence=int(str(sequence)),
        legs=json.loads(str(legs)),
        is_open=bool(is_open),
    )


_SETUP = """CREATE TABLE IF NOT EXISTS order_messages (
    order_id TEXT NOT NULL, kind TEXT NOT NULL, channel TEXT NOT NULL, ts TEXT NOT NULL, team TEXT NOT NULL,
    user TEXT NOT NULL, sequence INTEGER NOT NULL, legs TEXT NOT NULL, is_open INTEGER NOT NULL,
    checked_at REAL NOT NULL, PRIMARY KEY (order_id, kind)
)"""
_SAVE = """INSERT OR REPLACE INTO order_messages
        (order_id, kind, channel, ts, team, user, sequence, legs, is_open, checked_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_FIND = """SELECT order_id, kind, channel, ts, team, user, sequence, legs, is_open
    FROM order_messages WHERE order_id = ? AND kind = ?"""
_LIST_OPEN = """SELECT order_id, kind, channel, ts, team, user, sequence, legs, is_open
    FROM order_messages WHERE is_open ORDER BY checked_at LIMIT ?"""
_TOUCH = "UPDATE order_messages SET checked_at = ? WHERE order_id = ? AND kind = ?"
