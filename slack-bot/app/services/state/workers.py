"""A bounded thread pool. It logs failures and refuses work beyond its capacity."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.errors import BotError, QueueFull, format_log_name
from app.request_priority import run_in_background

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Run work on up to `threads` threads, with up to `waiting` items queued.

    With `is_background`, no request waits for the work: it pauses while requests are being handled.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, is_background: bool = False):
        self._name = name
        self._is_background = is_background
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting)

    def submit(
        self, request_id: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Run `work` on a thread. Raises `QueueFull` if the pool is full.

        Failures of `work` are logged, expected ones without a traceback.
        """
        if not self._places.acquire(blocking=False):
            log.warning("No worker is free", extra={"request_id": request_id, "workers": self._name})
            raise QueueFull(self._name)
        try:
            run = _run_in_background if self._is_background else _run_work
            future = self._pool.submit(run, work, *args, **kwargs)
        except RuntimeError:
            self._places.release()
            raise QueueFull(f"{self._name} is shutting down") from None
        future.add_done_callback(lambda finished: self._log_failure(request_id, finished))
        return future

    def stop(self, *, wait: bool = False) -> None:
        """Accept no more work. With `wait`, return after the running work has ended."""
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _log_failure(self, request_id: str, finished: "Future[T]") -> None:
        self._places.release()
        error = None if finished.cancelled() else finished.exception()
        extra = {"request_id": request_id, "workers": self._name}
        if isinstance(error, BotError):
            log.warning("Work refused", extra=extra | {"fault": format_log_name(error)})
        elif error is not None:
            log.error("Work failed", exc_info=error, extra=extra)


def _run_work(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return work(*args, **kwargs)


def _run_in_background(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    with run_in_background():
        return work(*args, **kwargs)
