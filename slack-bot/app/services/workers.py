"""A bounded executor with an error boundary: what fails is logged, what does not fit is refused."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from app.errors import Saturated

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """`threads` at work and `waiting` in line; threads are started as they are needed."""

    def __init__(self, name: str, *, threads: int, waiting: int):
        self._name = name
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + waiting)

    def submit(
        self, request_id: str, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Run `work` on a thread; raises `Saturated` when all are taken. Its failure is logged here."""
        if not self._places.acquire(blocking=False):
            log.warning("No worker is free", extra={"request_id": request_id, "workers": self._name})
            raise Saturated(self._name)
        try:
            future = self._pool.submit(work, *args, **kwargs)
        except RuntimeError:
            self._places.release()
            raise Saturated(f"{self._name} is shutting down") from None
        future.add_done_callback(lambda done: self._finished(request_id, done))
        return future

    def stop(self, *, wait: bool = False) -> None:
        """Take no more work; with `wait`, return when the running work has ended."""
        self._pool.shutdown(wait=wait, cancel_futures=True)

    def _finished(self, request_id: str, done: "Future[T]") -> None:
        self._places.release()
        if not done.cancelled() and (fault := done.exception()) is not None:
            log.error("Work failed", exc_info=fault, extra={"request_id": request_id, "workers": self._name})
