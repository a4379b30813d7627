"""An event loop whose clock moves only while every task waits, so that no timer depends on the machine."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from typing_extensions import override

Found = TypeVar("Found")


class _VirtualSelector(selectors.DefaultSelector):
    """Adds the time that the loop would wait to its clock, and waits no time."""

    now = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "every task waits, and no timer is set"
        self.now += max(timeout, 0.0)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual_selector = _VirtualSelector()
        super().__init__(self._virtual_selector)

    @override
    def time(self) -> float:
        return self._virtual_selector.now


def run_in_virtual_time(work: Coroutine[Any, Any, Found]) -> Found:
    """Run a coroutine that waits for timers and for other tasks, not for threads or sockets."""
    with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
        return runner.run(work)
