"""Writes that touch no book and so need not wait for the writer: a thread, a transaction each."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.unit_of_work import unit_of_work
from app.errors import NotPlaced

T = TypeVar("T")


class Changes:
    """Run functions of a connection that write, one after the other, off the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="changes")

    async def run(self, change: Callable[[Connection], T]) -> T:
        """Return what `change` returns, once it is committed. Raises NotPlaced where the database is away."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, change)

    def close(self) -> None:
        """Let what is under way end, and stop the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _write(self, change: Callable[[Connection], T]) -> T:
        try:
            with unit_of_work(self._engine) as connection:
                return change(connection)
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise NotPlaced("The database does not take this just now; send it again in a moment.") from error
