"""One query for all who ask at once: the reading counterpart of group commit.

Whoever asks while a query is under way waits for the next one, so nobody is told less than what was committed
before they asked.
"""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from app.database.readers import Readers

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

MOST_KEYS = 50


class GroupRead(Generic[Key, Answer]):
    """Answer keys by `read`, one statement for all that wait; for one event loop."""

    def __init__(
        self, readers: Readers, read: Callable[[Connection, Sequence[Key]], dict[Key, Answer]]
    ) -> None:
        self._readers = readers
        self._read = read
        self._waiting: dict[Key, asyncio.Future[Answer | None]] = {}
        self._drain: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Answer | None:
        """Return the answer for `key`, None where there is none. Raises what the readers raise."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._drain is None:
            self._drain = asyncio.create_task(self._answer_all())
        return await asyncio.shield(future)  # one who leaves takes nothing from the others

    def _query(self, keys: Sequence[Key]) -> Callable[[Connection], dict[Key, Answer]]:
        return lambda connection: self._read(connection, keys)

    async def _answer_all(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:MOST_KEYS]
            asked = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._readers.run_single(self._query(keys))
            except Exception as error:  # noqa: BLE001  # told to those who asked; the next query is another
                _refuse(asked, error)
            else:
                for key, future in asked.items():
                    future.set_result(found.get(key))
        self._drain = None


def _refuse(asked: dict[Key, "asyncio.Future[Answer | None]"], error: Exception) -> None:
    for future in asked.values():
        future.set_exception(error)
        future.exception()  # looked at here, lest one whom nobody waits for any more is reported as forgotten
