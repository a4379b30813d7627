"""Find the commit status of a transaction whose COMMIT got no response (PostgreSQL)."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError

TRANSACTION_NUMBER = "SELECT CAST(pg_current_xact_id() AS text)"
_INFO_KEY = "transaction_number"
_ROW_VERSION_COUNT = 2**32  # `xmin` has the lower half of the number's bits
# PostgreSQL's SQLSTATE for a number that it has not given yet.
_UNKNOWN_NUMBER_CODE = "22023"


class CommitStatus(StrEnum):
    """The states of `pg_xact_status`, and UNKNOWN: the transaction is too old, or the database is SQLite."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    RUNNING = "in progress"
    UNKNOWN = "unknown"


def keep_transaction_number(connection: Connection, result: CursorResult[Any]) -> None:
    """Keep the number that TRANSACTION_NUMBER returned."""
    connection.info[_INFO_KEY] = result.scalar_one()


def get_row_version(connection: Connection) -> str | None:
    """Return the `xmin` of the rows that the transaction wrote. None if it wrote nothing, or on SQLite."""
    number: str | None = connection.info.get(_INFO_KEY)
    return None if number is None else str(int(number) % _ROW_VERSION_COUNT)


def take_transaction_number(connection: Connection) -> str | None:
    """Return the number of the transaction, and clear it. None if it wrote nothing, or on SQLite."""
    number: str | None = connection.info.pop(_INFO_KEY, None)
    return number


def load_commit_status(connection: Connection, number: str | None) -> CommitStatus:
    """Return the commit status of the transaction with that number.

    After a crash or a fail-over that lost the transaction, its number was never given, or is given again:
    COMMITTED may then be true of another transaction.
    """
    if number is None:
        return CommitStatus.UNKNOWN
    try:
        status = connection.exec_driver_sql("SELECT pg_xact_status(CAST(%s AS xid8))", (number,)).scalar_one()
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _UNKNOWN_NUMBER_CODE:
            return CommitStatus.ABORTED
        raise
    return CommitStatus.UNKNOWN if status is None else CommitStatus(status)
