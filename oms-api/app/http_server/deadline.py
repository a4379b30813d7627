"""Timeouts for every request. One shared timer costs a tenth of a timer per request."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")
_CHECKS_PER_TIMEOUT = 10  # checks within the allowed time: a timeout is late by one interval at most


class Deadline:
    """Cancels each wait after `seconds`, within a tenth. For one event loop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waiting_tasks: dict[asyncio.Task[Any], float] = {}
        self._watch: asyncio.TimerHandle | None = None

    async def wait_for(self, work: Awaitable[ResultT]) -> ResultT:
        """Return the result of `work`. A task has one wait at a time. Raises TimeoutError if it is late."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "a coroutine runs in a task"  # noqa: S101  # for the type checker
        self._waiting_tasks[task] = loop.time()
        if self._watch is None:
            self._watch = loop.call_later(self.seconds / _CHECKS_PER_TIMEOUT, self._cancel_if_late, loop)
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._waiting_tasks or task.uncancel():
                raise  # the task was canceled for another reason
            raise TimeoutError from None
        finally:
            self._waiting_tasks.pop(task, None)

    def _cancel_if_late(self, loop: asyncio.AbstractEventLoop) -> None:
        began_before = loop.time() - self.seconds
        late = []
        for task, began in self._waiting_tasks.items():  # the oldest wait comes first
            if began > began_before:
                break
            late.append(task)
        for task in late:
            del self._waiting_tasks[task]
            task.cancel()
        repeats = bool(self._waiting_tasks)
        self._watch = (
            loop.call_later(self.seconds / _CHECKS_PER_TIMEOUT, self._cancel_if_late, loop)
            if repeats
            else None
        )
