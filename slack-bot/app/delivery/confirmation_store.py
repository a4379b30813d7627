"""Store the confirmations to be sent, so that they survive a restart.

A row is added before a trade is sent to the OMS, and removed after Slack has accepted the confirmation. The
state of a row, and whether its bot is alive, decide what a bot does with it. Several bots can share the
store: a claim changes the owner of a row, and each later step only succeeds for the owner.
"""

import threading
from dataclasses import astuple, dataclass
from enum import StrEnum

from app.storage.database import Row, execute_or_log
from app.storage.storage import Storage, create_storage

MAX_UNSTORED = 1000


class ConfirmationState(StrEnum):
    """The progress of a confirmation, as stored."""

    SUBMITTED = "submitted"  # the trade was sent to the OMS by the bot that owns the row
    UNKNOWN = "unknown"  # the trade was sent; it is unknown whether the OMS recorded it
    QUEUED = "queued"  # the confirmation is queued
    SENDING = "sending"  # the confirmation was sent to Slack; no response yet
    INTERRUPTED = "interrupted"  # the bot crashed during the call to Slack
    REQUEUED = "requeued"  # an interrupted confirmation is queued again, with a note
    REPEATING = "repeating"  # the repeat was sent to Slack; not sent a third time after another crash


@dataclass(frozen=True)
class PendingConfirmation:
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

    pending: PendingConfirmation
    is_interrupted: bool


class ConfirmationStore:
    """Store confirmations for all threads.

    An error of the database is logged; it delays no trade and no confirmation.
    """

    def __init__(self, storage: Storage | None = None):
        """Use a storage. Without one, everything is kept in memory."""
        self.storage = storage or create_storage()
        self._bot = self.storage.bots.id
        self._is_dead = self.storage.bots.is_dead("owed_confirmations.owner")
        self._unstored: dict[str, None] = {}  # keys of confirmations that the database did not store
        self._lock = threading.Lock()

    def add(self, pending: PendingConfirmation) -> None:
        """Store a confirmation before its trade is sent.

        A confirmation of an earlier, unresolved submission of the form stays pending. A confirmation that
        another bot is sending does not change.
        """
        with self._lock:
            self._unstored.pop(pending.key, None)
            if self._run_statement(_ADD.format(dead=self._is_dead), *astuple(pending), self._bot) is None:
                self._unstored[pending.key] = None
                while len(self._unstored) > MAX_UNSTORED:
                    self._unstored.pop(next(iter(self._unstored)))

    def release(self, key: str, *, is_unknown: bool) -> None:
        """Remove a confirmation that is not needed any more. Keep it if the trade may have been recorded."""
        self._run_statement(_KEEP, key, self._bot, int(is_unknown))
        self._run_statement(
            "DELETE FROM owed_confirmations WHERE key = ? AND state = 'submitted' AND owner = ?",
            key,
            self._bot,
        )

    def claim(self, key: str) -> "ConfirmationClaim | None":
        """Return the right to send the confirmation. None if another bot has it, or it is not stored.

        If the database failed, the right is not recorded, and the confirmation is sent anyway.
        """
        if key in self._unstored:
            return ConfirmationClaim(self, key, 0.0)
        rows = self._run_statement(
            f"{_CLAIM} AND state IN ('submitted', 'unknown') {_RETURNING}", self._bot, key
        )
        return ConfirmationClaim(self, key, 0.0) if rows is None else self._build_claim(key, rows)

    def claim_pending(self, key: str) -> "ConfirmationClaim | None":
        """Return the right to send it if an earlier submission of the form left it pending."""
        condition = "state IN ('submitted', 'unknown') AND is_owed = 1"
        return self._build_claim(
            key, self._run_statement(f"{_CLAIM} AND {condition} {_RETURNING}", self._bot, key)
        )

    def claim_unresolved(self, pending: PendingConfirmation) -> "ConfirmationClaim | None":
        """Return the right to send it, unless the form was submitted again since then."""
        statement = f"{_CLAIM} AND state IN ('unknown', 'interrupted') AND submitted_at = ? {_RETURNING}"
        return self._build_claim(
            pending.key, self._run_statement(statement, self._bot, pending.key, pending.submitted_at)
        )

    def list_unresolved(self, team: str | None = None) -> list[UnresolvedConfirmation]:
        """Return the confirmations to find in the OMS, oldest first. With `team`, only of this workspace.

        This bot first takes over the confirmations of crashed bots.
        """
        for statement in _ADOPT:
            self._run_statement(f"{statement} AND {self._is_dead}")
        rows = self._run_statement(_LIST_UNRESOLVED, team, team) or []
        return [
            UnresolvedConfirmation(PendingConfirmation(*columns), state == ConfirmationState.INTERRUPTED)
            for *columns, state in rows
        ]

    def remove_submitted_before(self, instant: float) -> int:
        """Remove unresolved confirmations of older trades. Return their number."""
        statement = (
            "DELETE FROM owed_confirmations WHERE submitted_at < ? AND state IN ('unknown', 'interrupted') "
            "RETURNING key"
        )
        return len(self._run_statement(statement, instant) or [])

    def begin(self, claim: "ConfirmationClaim") -> bool:
        """Record that the call to Slack starts. Return False if another bot has taken the row over."""
        rows = self._run_statement(_BEGIN, claim.key, claim.submitted_at, self._bot)
        return rows is None or bool(rows)

    def retract(self, claim: "ConfirmationClaim") -> None:
        """Record that Slack refused the message."""
        self._run_statement(_RETRACT, claim.key, claim.submitted_at, self._bot)

    def remove(self, claim: "ConfirmationClaim") -> None:
        """Remove a confirmation that was delivered."""
        statement = "DELETE FROM owed_confirmations WHERE key = ? AND submitted_at = ? AND owner = ?"
        self._run_statement(statement, claim.key, claim.submitted_at, self._bot)

    def close(self) -> None:
        """Close the storage."""
        self.storage.close()

    def _build_claim(self, key: str, rows: list[Row] | None) -> "ConfirmationClaim | None":
        return ConfirmationClaim(self, key, rows[0][0]) if rows else None

    def _run_statement(self, statement: str, *values: object) -> list[Row] | None:
        return execute_or_log(self.storage.database, statement, *values)


@dataclass(frozen=True)
class ConfirmationClaim:
    """The right to send one confirmation. It records the progress in the store.

    `submitted_at` is 0 for a confirmation that the database did not store.
    """

    store: ConfirmationStore
    key: str
    submitted_at: float

    def begin(self) -> bool:
        """Record that the call to Slack starts. Return False if another bot has the right now."""
        return not self.submitted_at or self.store.begin(self)

    def retract(self) -> None:
        """Record that Slack refused the message: it was certainly not posted."""
        self.store.retract(self)

    def finish(self) -> None:
        """Record that Slack accepted the message."""
        self.store.remove(self)


_COLUMNS = """key, submitted_at, team, "user", channel, view_id, root_view_id, request_id, order_text,
        response_url, response_url_expires_at"""
_ADOPT = (  # the rows of crashed bots
    "DELETE FROM owed_confirmations WHERE state = 'repeating'",
    "UPDATE owed_confirmations SET state = 'interrupted' WHERE state IN ('sending', 'requeued')",
    "UPDATE owed_confirmations SET state = 'unknown', is_owed = 1 WHERE state IN ('submitted', 'queued')",
)
_ADD = f"""INSERT INTO owed_confirmations ({_COLUMNS}, owner)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET state = 'submitted', submitted_at = excluded.submitted_at,
        request_id = excluded.request_id, order_text = excluded.order_text, view_id = excluded.view_id,
        owner = excluded.owner
    WHERE owed_confirmations.state = 'unknown' OR (owed_confirmations.state = 'submitted'
        AND (owed_confirmations.owner = excluded.owner OR {{dead}}))"""
_KEEP = """UPDATE owed_confirmations SET state = 'unknown', is_owed = 1
    WHERE key = ? AND state = 'submitted' AND owner = ? AND (is_owed = 1 OR ? = 1)"""
_CLAIM = """UPDATE owed_confirmations SET owner = ?,
        state = CASE WHEN state = 'interrupted' THEN 'requeued' ELSE 'queued' END
    WHERE key = ?"""
_RETURNING = "RETURNING submitted_at"
_BEGIN = """UPDATE owed_confirmations SET state = CASE
        WHEN state = 'queued' THEN 'sending' WHEN state = 'requeued' THEN 'repeating' ELSE state END
    WHERE key = ? AND submitted_at = ? AND owner = ?
        AND state IN ('queued', 'sending', 'requeued', 'repeating')
    RETURNING key"""
_RETRACT = """UPDATE owed_confirmations
    SET state = CASE WHEN state = 'repeating' THEN 'requeued' ELSE 'queued' END
    WHERE key = ? AND submitted_at = ? AND owner = ? AND state IN ('sending', 'repeating')"""
_LIST_UNRESOLVED = f"""SELECT {_COLUMNS}, state FROM owed_confirmations
    WHERE state IN ('unknown', 'interrupted') AND (team = ? OR CAST(? AS TEXT) IS NULL)
    ORDER BY submitted_at"""
