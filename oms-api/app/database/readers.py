"""Reads off the event loop, in a few threads that have a connection each and a bounded queue."""

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from sqlalchemy import Connection, Engine

from app.database.tenants import set_tenant_scope
from app.database.thread_pool import BoundedThreadPool, run_connected
from app.errors import Unavailable

QUEUE_PER_THREAD = 64
RESPONSE_TIMEOUT_SECONDS = 10.0  # the maximum wait of a caller

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


class Readers:
    """Runs read-only functions of a connection off the event loop."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._snapshots, self._statements = engine, engine
        if engine.dialect.name == "postgresql":  # SQLite's transactions are snapshots anyway
            self._snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
            self._statements = engine.execution_options(isolation_level="AUTOCOMMIT")
        max_waiting = threads * (QUEUE_PER_THREAD - 1)
        too_many = "Too many reads are waiting; try again in a moment."
        self._threads = BoundedThreadPool(threads, max_waiting, "reader", too_many)

    async def run(self, read: Callable[[Connection], T], tenant_id: int | None = None) -> T:
        """Run `read` on one snapshot of the database and return its result.

        It sees only the tenant's rows of tables with row-level security (see `database.tenants`). Raises
        Unavailable if the queue is full or the database does not respond.
        """
        return await self._run_in_time(self._snapshots, read, tenant_id)

    async def read(
        self, tenant_id: int, read: Callable[[Connection, int, *Arguments], T], *arguments: *Arguments
    ) -> T:
        """Run `read(connection, tenant_id, *arguments)` like `run`, and return its result."""
        return await self.run(lambda connection: read(connection, tenant_id, *arguments), tenant_id)

    async def run_single(self, read: Callable[[Connection], T]) -> T:
        """Like `run`, for single statements without a transaction. `read` sets the tenant scope of each."""
        return await self._run_in_time(self._statements, read, None)

    async def _run_in_time(self, engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                return await self._threads.run(
                    lambda: run_connected(lambda: _read_in_connection(engine, read, tenant_id))
                )
        except TimeoutError:
            raise Unavailable("The database is slow; try again in a moment.") from None

    def close(self) -> None:
        """Finish the running reads and stop the threads."""
        self._threads.close()


def _read_in_connection(engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
    with engine.connect() as connection:
        return read(connection if tenant_id is None else set_tenant_scope(connection, [tenant_id]))
