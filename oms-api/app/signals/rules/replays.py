"""Identify the messages of a hook: each counts once in a day."""

import hashlib
from datetime import UTC, datetime, timedelta

REPLAY_PERIOD = timedelta(hours=24)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID_DIGITS = 32


def hash_body(body: bytes) -> str:
    """Return the hash of a message, as hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


def build_named_id(hook_id: str, message_id: str) -> str:
    """Return the id of the signal of a message that contains an id."""
    return f"{hook_id}:{message_id}"


def build_period_ids(hook_id: str, body_hash: str, now: datetime) -> tuple[str, str]:
    """Return the ids of the signal of a message without an id: of this period, and of the period before.

    The same message gets the same id within a period, so only one of several racing repeats is stored.
    The second id finds a repeat within 24 hours in the next period.
    """
    period = (now - _EPOCH) // REPLAY_PERIOD
    stem = f"{hook_id}:{body_hash[:_ID_DIGITS]}"
    return f"{stem}.{period}", f"{stem}.{period - 1}"


def is_replay(received_at: datetime, now: datetime) -> bool:
    """Return whether a message that was received at an instant still counts against repeats."""
    return now - received_at < REPLAY_PERIOD
