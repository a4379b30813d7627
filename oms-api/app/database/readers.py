"""Reads for an event loop: a few threads, each sure of a connection, and a bounded line before them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.tenants import declare_tenants
from app.errors import Unavailable

QUEUE_PER_THREAD = 64
ANSWER_SECONDS = 10.0  # no caller waits longer

T = TypeVar("T")


class Readers:
    """Run read-only functions of a connection off the event loop."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._snapshots, self._statements = engine, engine
        if engine.dialect.name == "postgresql":  # SQLite's transactions see one moment by themselves
            self._snapshots = engine.execution_options(isolation_level="REPEATABLE READ")
            self._statements = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._room = threads * QUEUE_PER_THREAD

    async def run(self, read: Callable[[Connection], T], tenant_id: int | None = None) -> T:
        """Return what `read` returns: all its statements see the database at one moment, and of tables behind
        the wall the tenant's rows alone (see `database.tenants`).

        Raises Unavailable when the line is full or the database does not answer.
        """
        return await self._run(self._snapshots, read, tenant_id)

    async def run_single(self, read: Callable[[Connection], T]) -> T:
        """As `run`, for single statements that need no transaction around them; `read` declares the tenant of
        each.
        """
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
        """Let the reads under way end, and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _read(engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
    try:
        try:
            return _once(engine, read, tenant_id)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            # A connection from before a restart of the database; the pool holds none of those now.
            return _once(engine, read, tenant_id)
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database does not answer; try again in a moment.") from error


def _once(engine: Engine, read: Callable[[Connection], T], tenant_id: int | None) -> T:
    with engine.connect() as connection:
        return read(connection if tenant_id is None else declare_tenants(connection, [tenant_id]))
