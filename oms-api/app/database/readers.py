"""Reads off the event loop, in a few threads that have a connection each and a bounded queue."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.tenants import set_tenant_scope
from app.errors import Unavailable

QUEUE_PER_THREAD = 64
ANSWER_SECONDS = 10.0  # the maximum wait of a caller

T = TypeVar("T")


class Readers:
    """Runs read-only functions of a connection off the event loop."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._snapshots, self._statements = engine, engine
        if engine.dialect.name == "postgresql":  # SQLite's transactions are snapshots anyway
            self._snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
            self._statements = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._room = threads * QUEUE_PER_THREAD

    async def run(self, read: Callable[[Connection], T], tenant_id: int | None = None) -> T:
        """Run `read` on one snapshot of the database and return its result.

        It sees only the tenant's rows of tables with row-level security (see `database.tenants`). Raise
        Unavailable if the queue is full or the database does not respond.
        """
        return await self._run(self._snapshots, read, tenant_id)

    async def run_single(self, read: Callable[[Connection], T]) -> T:
        """Like `run`, for single statements without a transaction. `read` sets the tenant scope of each."""
        return await self._run(self._statements, read, None)

    async def _run(self, engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
        if self._room <= 0:
            raise Unavailable("Too many reads are waiting; try again in a moment.")
        self._room -= 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, _read, engine, read, tenant_id
                )
        except TimeoutError:
            raise Unavailable("The database is slow; try again in a moment.") from None
        finally:
            self._room += 1

    def close(self) -> None:
        """Finish the running reads and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _read(engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
    try:
        try:
            return _once(engine, read, tenant_id)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # The connection was opened before a restart of the database. The pool has dropped all of those
            # now.
            return _once(engine, read, tenant_id)
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database does not answer; try again in a moment.") from error


def _once(engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
    with engine.connect() as connection:
        return read(connection if tenant_id is None else set_tenant_scope(connection, [tenant_id]))
