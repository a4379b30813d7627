"""Reads for an event loop: a few threads, each sure of a connection, and a bounded line before them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import Unavailable

QUEUE_PER_THREAD = 64

T = TypeVar("T")


class Readers:
    """Run read-only functions of a connection off the event loop."""

    def __init__(self, engine: Engine, threads: int) -> None:
        # A request may read twice, and both reads see the same moment; on SQLite they do so anyway.
        is_postgresql = engine.dialect.name == "postgresql"
        self._engine = (
            engine.execution_options(isolation_level="REPEATABLE READ") if is_postgresql else engine
        )
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._room = threads * QUEUE_PER_THREAD

    async def run(self, read: Callable[[Connection], T]) -> T:
        """Return what `read` returns; Unavailable when the line is full or the database does not answer."""
        if self._room <= 0:
            raise Unavailable("Too many reads are waiting; try again in a moment.")
        self._room -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, read)
        finally:
            self._room += 1

    def close(self) -> None:
        """Let the reads under way end, and stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _read(self, read: Callable[[Connection], T]) -> T:
        try:
            try:
                return self._once(read)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                # A connection from before a restart of the database; the pool holds none of those now.
                return self._once(read)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable("The database does not answer; try again in a moment.") from error

    def _once(self, read: Callable[[Connection], T]) -> T:
        with self._engine.connect() as connection:
            return read(connection)
