"""Detects lock timeouts, and avoids waiting again for locks that other sessions hold."""

import hashlib
from collections.abc import Hashable, Iterable

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.clock import monotonic_seconds
from app.database.prepared import JsonStatement

PROBE_MILLISECONDS = 250
CLOSED_SECONDS = 1.0
_LOCK_NOT_AVAILABLE_CODE = "55P03"  # PostgreSQL's SQLSTATE
_SQLITE_BUSY_CODE = 5  # the primary code: the lowest byte of an extended code
_MAX_LOCK_GROUPS = 10_000
_LOCK_STATEMENT = "SELECT pg_advisory_xact_lock(value::bigint) FROM json_array_elements_text(%s)"


def is_row_locked(error: Exception) -> bool:
    """Return whether a statement timed out on a row lock. Other rows may be free."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "pgcode", None) == _LOCK_NOT_AVAILABLE_CODE


def is_file_locked(error: Exception) -> bool:
    """Return whether SQLite timed out on its single write lock. Then nothing can be written."""
    code = getattr(error.orig, "sqlite_errorcode", 0) if isinstance(error, DBAPIError) else 0
    return (code & 0xFF) == _SQLITE_BUSY_CODE


def set_short_lock_timeout(connection: Connection) -> None:
    """Limit the wait for each lock of this transaction to PROBE_MILLISECONDS (PostgreSQL)."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {PROBE_MILLISECONDS}")


def build_name_locks(names: Iterable[tuple[object, ...]]) -> list[JsonStatement]:
    """Return the statement that locks names until the transaction ends, none without names (PostgreSQL).

    Only one transaction at a time then reads them. Two names with the same hash only wait for each other.
    A statement after it in the same round trip sees what the previous holders of the locks committed. SQLite
    has one writer at a time anyway.
    """
    numbers = sorted({_hash_name(name) for name in names})
    return [JsonStatement(_LOCK_STATEMENT, orjson.dumps(list(map(str, numbers))).decode())] if numbers else []


def _hash_name(name: tuple[object, ...]) -> int:
    """Return the signed 64-bit hash of a name."""
    text = "\0".join(map(str, name))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), signed=True)


class LockContention:
    """Lock groups whose lock another session holds, and the time until which they are not tried again."""

    def __init__(self) -> None:
        self._closed_until: dict[Hashable, float] = {}

    def __bool__(self) -> bool:
        return bool(self._closed_until)

    def __contains__(self, lock_group: Hashable) -> bool:
        return lock_group in self._closed_until

    def is_closed(self, lock_group: Hashable) -> bool:
        """Return whether the group hit a lock within the last CLOSED_SECONDS."""
        return monotonic_seconds() < self._closed_until.get(lock_group, 0.0)

    def close(self, lock_group: Hashable) -> None:
        """Record that the group hit a lock just now."""
        if len(self._closed_until) >= _MAX_LOCK_GROUPS:
            self._closed_until.clear()
        self._closed_until[lock_group] = monotonic_seconds() + CLOSED_SECONDS

    def open(self, lock_group: Hashable) -> None:
        """Record that the group got its lock."""
        self._closed_until.pop(lock_group, None)
