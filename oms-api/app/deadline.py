"""An end to waiting, for what is waited for on every request: a timer for each costs ten times as much."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

Found = TypeVar("Found")
_LOOKS = 10  # within the time allowed; so late, in parts of it, may the end come


class Deadline:
    """Ends each wait after `seconds`, give or take a tenth. It belongs to one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._watch: asyncio.TimerHandle | None = None

    async def bound(self, work: Awaitable[Found]) -> Found:
        """Return what `work` gives; a task waits for one at a time. Raises TimeoutError when it is late."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "a coroutine runs in a task"  # noqa: S101  # for the type checker
        self._waiting[task] = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self.seconds / _LOOKS, self._check, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._waiting or task.uncancel():
                raise  # somebody else wants the task to end
            raise TimeoutError from None
        finally:
            self._waiting.pop(task, None)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        began_before = loop.time() - self.seconds
        late = []
        for task, began in self._waiting.items():  # whoever waits longest stands first
            if began > began_before:
                break
            late.append(task)
        for task in late:
            del self._waiting[task]
            task.cancel()
        again = bool(self._waiting)
        self._watch = loop.call_later(self.seconds / _LOOKS, self._check, loop) if again else None
