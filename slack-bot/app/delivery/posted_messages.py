"""Store which message in Slack shows an order, an issue or a strategy, so that later changes edit it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from app.storage.database import execute_or_log
from app.storage.storage import Storage


class MessageKind(StrEnum):
    """The kind of the subject of a message, as stored."""

    ORDER = "order"
    APPROVAL = "approval"
    ISSUE = "issue"  # a reconciliation issue
    STRATEGY = "strategy"  # the id is workspace:name


INTERRUPTED = "interrupted"  # instead of the id of a bot


class PostedMessageClaim(Enum):
    """Whether a bot may edit a message."""

    NEW = auto()
    INTERRUPTED = auto()  # the bot that had the claim crashed: what it posted is unknown
    TAKEN = auto()  # another bot edits the message


@dataclass(frozen=True)
class PostedMessage:
    """A message of the bot. `subject_id` is the id of its order, issue or strategy.

    `user` is the person who placed the order.
    `sequence` is the number of the order's last change that the message shows. `legs` are the exits that it
    shows, by order id, as texts of their state.
    """

    subject_id: str
    kind: MessageKind
    channel: str
    ts: str
    team: str
    user: str
    sequence: int = 0
    legs: dict[str, str] = field(default_factory=dict)
    is_open: bool = True


class PostedMessageStore:
    """Store the messages that the bot posted. `get_team` returns the workspace, whose messages are found.

    Bots that share the store claim a message before they edit it, so that each change is shown once.
    """

    def __init__(self, storage: Storage, get_team: Callable[[], str]):
        self._database = storage.database
        self._bot = storage.bots.id
        self._is_dead = storage.bots.is_dead("owner")
        self._get_team = get_team

    def save(self, message: PostedMessage) -> None:
        """Add or replace a message. This ends a claim of it."""
        legs = json.dumps(message.legs, separators=(",", ":"))
        execute_or_log(
            self._database,
            _SAVE,
            message.subject_id,
            message.kind.value,
            message.channel,
            message.ts,
            message.team,
            message.user,
            message.sequence,
            legs,
            int(message.is_open),
            time.time(),
        )

    def find(self, subject_id: str, kind: MessageKind) -> PostedMessage | None:
        """Return the message about a subject, None if there is none in this workspace."""
        rows = execute_or_log(self._database, _FIND, subject_id, kind.value, self._get_team()) or []
        return next(map(_build_message, rows), None)

    def list_open(self, limit: int) -> list[PostedMessage]:
        """Return messages of orders that can still change, those checked longest ago first."""
        return [
            _build_message(row)
            for row in execute_or_log(self._database, _LIST_OPEN, self._get_team(), limit) or []
        ]

    def record_check(self, message: PostedMessage) -> None:
        """Record that the order was checked now."""
        execute_or_log(
            self._database, _TOUCH, time.time(), message.subject_id, message.kind.value, message.team
        )

    def claim(self, order_id: str) -> PostedMessageClaim:
        """Take the right to edit the message of an order until it is saved or released."""
        keys = (order_id, self._get_team())
        take = f"UPDATE order_messages SET owner = ? WHERE {_IS_ORDER} AND"
        rows = execute_or_log(
            self._database, f"{take} owner IN ('', ?) RETURNING 1", self._bot, *keys, self._bot
        )
        if rows is None or rows:
            return PostedMessageClaim.NEW
        rows = execute_or_log(self._database, f"{take} {self._is_dead} RETURNING 1", self._bot, *keys)
        return PostedMessageClaim.INTERRUPTED if rows else PostedMessageClaim.TAKEN

    def interrupt(self, order_id: str) -> None:
        """Record that it is unknown whether Slack has the change: its repetition is marked."""
        statement = f"UPDATE order_messages SET owner = ? WHERE {_IS_ORDER} AND owner = ?"
        execute_or_log(self._database, statement, INTERRUPTED, order_id, self._get_team(), self._bot)

    def release(self, order_id: str) -> None:
        """End the claim of a message."""
        statement = f"UPDATE order_messages SET owner = '' WHERE {_IS_ORDER} AND owner = ?"
        execute_or_log(self._database, statement, order_id, self._get_team(), self._bot)


def _build_message(row: tuple[object, ...]) -> PostedMessage:
    subject_id, kind, channel, ts, team, user, sequence, legs, is_open = row
    return PostedMessage(
        subject_id=str(subject_id),
        kind=MessageKind(str(kind)),
        channel=str(channel),
        ts=str(ts),
        team=str(team),
        user=str(user),
        sequence=int(str(sequence)),
        legs=json.loads(str(legs)),
        is_open=bool(is_open),
    )


_SAVE = """INSERT INTO order_messages
        (order_id, kind, channel, ts, team, "user", sequence, legs, is_open, checked_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (team, order_id, kind) DO UPDATE SET channel = excluded.channel, ts = excluded.ts,
        "user" = excluded."user", sequence = excluded.sequence, legs = excluded.legs,
        is_open = excluded.is_open, checked_at = excluded.checked_at, owner = ''"""
_IS_ORDER = "order_id = ? AND kind = 'order' AND team = ?"
_COLUMNS = 'order_id, kind, channel, ts, team, "user", sequence, legs, is_open'
_FIND = f"SELECT {_COLUMNS} FROM order_messages WHERE order_id = ? AND kind = ? AND team = ?"
_LIST_OPEN = (
    f"SELECT {_COLUMNS} FROM order_messages WHERE is_open = 1 AND team = ? ORDER BY checked_at LIMIT ?"
)
_TOUCH = "UPDATE order_messages SET checked_at = ? WHERE order_id = ? AND kind = ? AND team = ?"
