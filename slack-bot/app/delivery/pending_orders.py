"""Store orders and requests for approval whose message is not posted yet.

A crash loses none that the database stored.
"""

from dataclasses import astuple, dataclass
from enum import StrEnum

from app.storage.database import Row, execute_or_log
from app.storage.storage import Storage


class PendingState(StrEnum):
    """The progress of an order's message, as stored."""

    SUBMITTED = "submitted"  # the bot that owns the row sends the order, or its message is queued
    UNKNOWN = "unknown"  # it is unknown whether the OMS has the order
    ANNOUNCED = "announced"  # an event states that the message is pending; a form may post it first
    POSTING = "posting"  # the message was sent to Slack; no response yet
    INTERRUPTED = "interrupted"  # the bot crashed during the call to Slack


@dataclass(frozen=True)
class PendingOrder:
    """An order that was sent, or a request for the approval of an order, whose message is not posted yet."""

    key: str  # the order's idempotency key and client order id, `close:…` or `approval:<team>:<order id>`
    submitted_at: float  # Unix seconds
    team: str
    user: str
    channel: str
    request_id: str
    order_text: str  # empty for a request for approval
    state: PendingState = PendingState.SUBMITTED


class PendingOrderStore:
    """Store pending orders. Bots that share the store claim an order before they post its message."""

    def __init__(self, storage: Storage):
        self._database = storage.database
        self._bot = storage.bots.id
        self._is_dead = storage.bots.is_dead("owner")

    def add(self, pending: PendingOrder) -> None:
        """Store an order before it is sent. An order that another bot has stored does not change."""
        self._run_statement(_ADD, *astuple(pending), self._bot)

    def add_if_absent(self, pending: PendingOrder) -> None:
        """Store an order, unless it is stored already."""
        self._run_statement(_ADD_IF_ABSENT, *astuple(pending), self._bot)

    def set_state(self, key: str, state: PendingState) -> bool:
        """Record the progress. Return False if another bot has claimed the order.

        An order that is not stored has no owner: each step of it succeeds.
        """
        statement = "UPDATE pending_orders SET state = ? WHERE key = ? AND owner = ? RETURNING key"
        rows = self._run_statement(statement, state.value, key, self._bot)
        return (
            rows is None
            or bool(rows)
            or not self._run_statement("SELECT 1 FROM pending_orders WHERE key = ?", key)
        )

    def claim(self, pending: PendingOrder) -> bool:
        """Take over an unresolved order to post its message. Return False if another bot has it."""
        rows = self._run_statement(_CLAIM, self._bot, pending.key, pending.state.value)
        return rows is None or bool(rows)

    def remove(self, key: str) -> None:
        """Remove an order whose message was posted, or that was not placed."""
        self._run_statement("DELETE FROM pending_orders WHERE key = ? AND owner = ?", key, self._bot)

    def list_unresolved(self, team: str | None = None) -> list[PendingOrder]:
        """Return the orders to find in the OMS, oldest first. With `team`, only of this workspace.

        This bot first takes over the orders of crashed bots.
        """
        for statement in _ADOPT:
            self._run_statement(f"{statement} AND {self._is_dead}")
        rows = self._run_statement(_LIST_UNRESOLVED, team, team) or []
        return [
            PendingOrder(
                key=key,
                submitted_at=submitted_at,
                team=team,
                user=user,
                channel=channel,
                request_id=request_id,
                order_text=order_text,
                state=PendingState(state),
            )
            for key, submitted_at, team, user, channel, request_id, order_text, state in rows
        ]

    def _run_statement(self, statement: str, *values: object) -> list[Row] | None:
        return execute_or_log(self._database, statement, *values)


_ADOPT = (
    "UPDATE pending_orders SET state = 'interrupted' WHERE state = 'posting'",
    "UPDATE pending_orders SET state = 'unknown' WHERE state = 'submitted'",
)
_INSERT = """INSERT INTO pending_orders
        (key, submitted_at, team, "user", channel, request_id, order_text, state, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO"""
_ADD_IF_ABSENT = f"{_INSERT} NOTHING"
_ADD = f"""{_INSERT} UPDATE SET submitted_at = excluded.submitted_at, request_id = excluded.request_id,
        order_text = excluded.order_text, state = excluded.state
    WHERE pending_orders.owner = excluded.owner"""
_CLAIM = """UPDATE pending_orders SET owner = ?, state = 'submitted' WHERE key = ? AND state = ?
    RETURNING key"""
_LIST_UNRESOLVED = """SELECT key, submitted_at, team, "user", channel, request_id, order_text, state
    FROM pending_orders
    WHERE state IN ('unknown', 'announced', 'interrupted') AND (team = ? OR CAST(? AS TEXT) IS NULL)
    ORDER BY submitted_at LIMIT 100"""
