"""Interrupt a callback that takes too long, where it is, so that the error names the line."""

import signal
import time
from collections.abc import Callable
from types import FrameType

from app.sandbox.rules.limits import SandboxLimits

_CHECKS_PER_LIMIT = 10  # in the time that a callback may take


class CallbackTooLong(BaseException):
    """Raised when a callback takes too long. Strategies that catch `Exception` do not catch it."""


class ChildWatchdog:
    """Checks regularly whether the strategy gets on. `get_step` returns something else in each callback.

    A strategy that hinders it is killed by the service, which has its own clock.
    """

    def __init__(self, limits: SandboxLimits, get_step: Callable[[], object]) -> None:
        self._limits, self._get_step = limits, get_step
        self._step: object = None
        self._started = self._used = 0.0
        self._interval = min(limits.callback_seconds, limits.callback_wall_seconds) / _CHECKS_PER_LIMIT

    def start(self) -> None:
        """Begin to watch the strategy."""
        self._restart_step(self._get_step())
        signal.signal(signal.SIGALRM, self._check_step)
        signal.setitimer(signal.ITIMER_REAL, self._interval, self._interval)

    def stop(self) -> None:
        """Stop watching it."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _restart_step(self, step: object) -> None:
        self._step, self._started, self._used = step, time.monotonic(), time.process_time()

    def _check_step(self, _: int, __: FrameType | None) -> None:
        step = self._get_step()
        if step != self._step:
            self._restart_step(step)
            return
        limits, problem = self._limits, ""
        if time.process_time() - self._used > limits.callback_seconds:
            problem = f"A callback used more than {limits.callback_seconds:g} s of processor time."
        elif time.monotonic() - self._started > limits.callback_wall_seconds:
            problem = f"A callback took more than {limits.callback_wall_seconds:g} s."
        if problem:
            self.stop()  # another tick would interrupt the report of this error
            raise CallbackTooLong(problem)
