"""Small transactions off the event loop that lock no portfolio, such as logins."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

from app.database.thread_pool import BoundedThreadPool, run_connected
from app.database.unit_of_work import unit_of_work

T = TypeVar("T")


class Transactions:
    """Runs a few transactions of an engine at a time, off the event loop."""

    def __init__(self, engine: Engine, threads: int = 2, max_waiting: int = 128) -> None:
        self._engine = engine
        too_many = "Too many changes are waiting; try again in a moment."
        self._threads = BoundedThreadPool(threads, max_waiting, "transactions", too_many)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction and return its result after the commit.

        Raises Unavailable if the database does not respond. Repeat `work` if its connection was lost, also
        during the commit: a repeat must be harmless.
        """
        return await self._threads.run(lambda: run_connected(lambda: self._run_in_transaction(work)))

    def close(self) -> None:
        """Finish the running work and stop."""
        self._threads.close()

    def _run_in_transaction(self, work: Callable[[Connection], T]) -> T:
        with unit_of_work(self._engine) as connection:
            return work(connection)
