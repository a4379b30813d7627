"""Writes that do not touch a portfolio's books and so need not wait for the writer thread.

One thread runs them, each in its own transaction.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.clock import monotonic_seconds
from app.database.locks import is_file_locked
from app.database.tenants import set_tenant_scope
from app.database.thread_pool import BoundedThreadPool
from app.database.unit_of_work import unit_of_work
from app.errors import NotPlaced, OutcomeUnknown

T = TypeVar("T")
ASK_MILLISECONDS = 1
WAIT_SECONDS = 5.0
MAX_WAITING = 128


class ChangeWriter:
    """Runs functions that write, one after another, off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        too_many = "Too many changes are waiting, and this was not recorded; send it again in a moment."
        self._thread = BoundedThreadPool(1, MAX_WAITING, "changes", too_many, NotPlaced)

    async def run(self, change: Callable[[Connection], T], tenant_id: int) -> T:
        """Run `change` with the tenant scope set, commit, and return its result.

        Raises NotPlaced if too many changes wait, the database is unavailable or another session holds a
        lock, and OutcomeUnknown if the connection was lost at COMMIT.
        """

        def run_in_scope(connection: Connection) -> T:
            return change(set_tenant_scope(connection, [tenant_id]))

        return await self._thread.run(lambda: self._write_change(run_in_scope))

    def close(self) -> None:
        """Finish the running work and stop the thread."""
        self._thread.close()

    def _write_change(self, change: Callable[[Connection], T]) -> T:
        is_done = False

        def run_and_note_end(connection: Connection) -> T:
            nonlocal is_done
            result = change(connection)
            is_done = True
            return result

        try:
            if self._engine.dialect.name == "sqlite":
                return self._write_with_sqlite_lock(run_and_note_end)
            with unit_of_work(self._engine) as connection:
                return run_and_note_end(connection)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            if is_done and isinstance(error, DBAPIError) and error.connection_invalidated:
                message = "The database was lost during the commit; check whether the change was made."
                raise OutcomeUnknown(message) from error
            raise NotPlaced(
                "The database refused the write, and this was not recorded; send it again in a moment."
            ) from error

    def _write_with_sqlite_lock(self, change: Callable[[Connection], T]) -> T:
        """Take SQLite's lock with constant retries.

        SQLite's own retries become less and less frequent, so under load the writer thread would always win.
        """
        with self._engine.connect().execution_options(writes=True) as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            driver.execute(f"PRAGMA busy_timeout = {ASK_MILLISECONDS}")
            try:
                with _begin_transaction(connection):
                    return change(connection)
            finally:
                driver.execute(f"PRAGMA busy_timeout = {int(WAIT_SECONDS * 1000)}")


def _begin_transaction(connection: Connection) -> RootTransaction:
    deadline = monotonic_seconds() + WAIT_SECONDS
    while True:
        try:
            return connection.begin()
        except OperationalError as error:
            if not is_file_locked(error) or monotonic_seconds() > deadline:
                raise
