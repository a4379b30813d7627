"""Small thread pools with a bounded queue, for blocking work off the event loop."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database import unit_of_work
from app.errors import Unavailable

T = TypeVar("T")


class BoundedThreadPool:
    """Runs functions in `threads` threads. `max_waiting` calls may queue; others fail with `too_many`."""

    def __init__(self, threads: int, max_waiting: int, name: str, too_many: str) -> None:
        self._too_many = too_many
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threading.BoundedSemaphore(threads + max_waiting)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` and return its result. Raise Unavailable immediately if the queue is full."""
        if not self._room.acquire(blocking=False):
            raise Unavailable(self._too_many)
        try:
            future = self._pool.submit(work)
        except RuntimeError:
            self._room.release()
            raise Unavailable("The service is stopping; try again in a moment.") from None
        future.add_done_callback(lambda _: self._room.release())  # also if the caller no longer waits
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish the running work and stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Transactions:
    """Runs a few transactions of an engine at a time, off the event loop."""

    def __init__(self, engine: Engine, threads: int = 2, max_waiting: int = 128) -> None:
        self._engine = engine
        too_many = "Too many changes are waiting; try again in a moment."
        self._threads = BoundedThreadPool(threads, max_waiting, "transactions", too_many)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raise Unavailable if the database does not respond. Repeat `work` if a restart of the database broke
        the pooled connection.
        """
        return await self._threads.run(lambda: self._transact(work))

    def close(self) -> None:
        """Finish the running work and stop."""
        self._threads.close()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            try:
                return self._once(work)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._once(work)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable("The database does not answer; try again in a moment.") from error

    def _once(self, work: Callable[[Connection], T]) -> T:
        with unit_of_work(self._engine) as connection:
            return work(connection)
