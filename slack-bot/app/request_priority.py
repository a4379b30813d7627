"""Handle requests before background work continues.

Slack waits for the acknowledgement of a request, and Python runs one thread at a time. Background work
therefore runs on one thread at a time, and pauses while requests are being handled. A call to Slack or the
OMS is waited for outside, so that the calls of many threads overlap.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

QUIET_SECONDS = 0.008  # after the last response: the next requests of a burst are still being read
MAX_PAUSE_SECONDS = 0.2  # of a piece of work, so that requests that never end do not stop it
POLL_SECONDS = 0.002

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class RequestCounter:
    """Count the requests that are being handled by this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._running = 0
        self._ended_at = -QUIET_SECONDS

    @contextmanager
    def count(self) -> Iterator[None]:
        """Count a request until the block ends."""
        self._change_count(1)
        try:
            yield
        finally:
            self._change_count(-1)

    @contextmanager
    def exclude(self) -> Iterator[None]:
        """Do not count a request in this block, in which it waits."""
        self._change_count(-1)
        try:
            yield
        finally:
            self._change_count(1)

    def is_busy(self) -> bool:
        """Return whether a request is being handled, or was handled just now."""
        return self._running > 0 or self._clock() < self._ended_at + QUIET_SECONDS

    def wait_until_idle(self) -> None:
        """Wait until no request is being handled, at most 0.2 s."""
        until = self._clock() + MAX_PAUSE_SECONDS
        while self.is_busy() and self._clock() < until:
            time.sleep(POLL_SECONDS)

    def _change_count(self, difference: int) -> None:
        with self._lock:
            self._running += difference
            self._ended_at = self._clock()


class _BackgroundThread(threading.local):
    has_turn = False


REQUESTS = RequestCounter()
_turn = threading.Lock()
_thread = _BackgroundThread()


def count_requests(application: WsgiApplication) -> WsgiApplication:
    """Return a WSGI application whose requests take precedence over background work."""

    def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with REQUESTS.count():
            return application(environ, start_response)

    return counted


@contextmanager
def run_in_background() -> Iterator[None]:
    """Run the block after the requests that are being handled, and alone among background work."""
    _acquire_turn()
    try:
        yield
    finally:
        _release_turn()


@contextmanager
def run_outside() -> Iterator[None]:
    """Let other background work run in this block, in which this thread waits."""
    had_turn = _release_turn()
    try:
        yield
    finally:
        if had_turn:
            _acquire_turn()


def pause_background_work() -> None:
    """Pause background work in the middle of a long computation, if requests are being handled."""
    if _thread.has_turn:
        REQUESTS.wait_until_idle()


def _acquire_turn() -> None:
    """Wait for the turn. A thread that waits too long continues without it: it may hold a needed lock."""
    _thread.has_turn = _turn.acquire(timeout=MAX_PAUSE_SECONDS)
    REQUESTS.wait_until_idle()


def _release_turn() -> bool:
    """Release the turn of this thread. Return whether it had one."""
    had_turn = _thread.has_turn
    _thread.has_turn = False
    if had_turn:
        _turn.release()
    return had_turn
