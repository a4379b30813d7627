"""Threads with a bounded queue, for blocking work off the event loop."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import Unavailable

T = TypeVar("T")


class BoundedThreadPool:
    """Runs functions in `threads` threads. `max_waiting` calls may queue; others fail with `too_many`.

    They fail with an error of the class `error`, including when the pool is closed.
    """

    def __init__(
        self, threads: int, max_waiting: int, name: str, too_many: str, error: type[Unavailable] = Unavailable
    ) -> None:
        self._too_many, self._error = too_many, error
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threading.BoundedSemaphore(threads + max_waiting)

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` and return its result. Raises the error immediately if the queue is full."""
        if not self._room.acquire(blocking=False):
            raise self._error(self._too_many)
        try:
            future = self._pool.submit(contextvars.copy_context().run, work)  # log lines name the request
        except RuntimeError:
            self._room.release()
            raise self._error("The service is stopping; try again in a moment.") from None
        future.add_done_callback(lambda _: self._room.release())  # also if the caller no longer waits
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Finish the running work and stop."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def run_connected(work: Callable[[], T]) -> T:
    """Run `work` and return its result. Raises Unavailable if the database does not respond.

    Repeat it once if its connection was lost, for example in a restart of the database, after which the pool
    has dropped all connections. The connection may be lost during a commit, so a repeat must be harmless.
    """
    try:
        try:
            return work()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            return work()
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise Unavailable("The database does not answer; try again in a moment.") from error
