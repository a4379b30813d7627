"""Combines concurrent look-ups into one query: the read counterpart of group commit.

A call during a running query waits for the next one, so that it sees everything committed before the call.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from app.database.readers import Readers

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")

MAX_KEYS = 50


class GroupRead(Generic[KeyT, ValueT]):
    """Answers keys by `read`, with one statement for all waiting callers. For one event loop."""

    def __init__(
        self, readers: Readers, read: Callable[[Connection, Sequence[KeyT]], dict[KeyT, ValueT]]
    ) -> None:
        self._readers = readers
        self._read_keys = read
        self._waiting_futures: dict[KeyT, asyncio.Future[ValueT | None]] = {}
        self._resolving_task: asyncio.Task[None] | None = None

    async def get(self, key: KeyT) -> ValueT | None:
        """Return the value of `key`, or None. Raises the errors of the readers."""
        future = self._waiting_futures.get(key)
        if future is None:
            future = self._waiting_futures[key] = asyncio.get_running_loop().create_future()
        if self._resolving_task is None:
            self._resolving_task = asyncio.create_task(self._resolve_futures())
        return await asyncio.shield(future)  # a canceled caller does not cancel the query of the others

    def _build_query(self, keys: Sequence[KeyT]) -> Callable[[Connection], dict[KeyT, ValueT]]:
        return lambda connection: self._read_keys(connection, keys)

    async def _resolve_futures(self) -> None:
        while self._waiting_futures:
            keys = list(self._waiting_futures)[:MAX_KEYS]
            futures = {key: self._waiting_futures.pop(key) for key in keys}
            try:
                values = await self._readers.run_single(self._build_query(keys))
            except Exception as error:  # noqa: BLE001  # raised to the callers; the next query may succeed
                _fail_futures(futures, error)
            else:
                for key, future in futures.items():
                    future.set_result(values.get(key))
        self._resolving_task = None


def _fail_futures(futures: dict[KeyT, "asyncio.Future[ValueT | None]"], error: Exception) -> None:
    for future in futures.values():
        future.set_exception(error)
        # retrieve the exception, or asyncio reports it as never retrieved if no caller waits any more
        future.exception()
