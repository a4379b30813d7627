"""End a worker of Celery that has stopped to consume, as some do after Redis was away (celery#8030).

The supervisor of the process, such as Docker, then starts a new one. No job is lost: its run is a row.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable

import redis

from app.clock import monotonic_seconds

CHECK_SECONDS = 5.0
SILENCE_SECONDS = 30.0
KILL_SECONDS = 30.0  # after which a worker that does not end is killed
RESTARTED = 75  # the exit status of a temporary failure
_LOG = logging.getLogger(__name__)


def is_stuck(waiting_count: int, silence_seconds: float, running_count: int) -> bool:
    """Return whether messages wait, and a worker that is idle has not received one for a long time."""
    return waiting_count > 0 and running_count == 0 and silence_seconds > SILENCE_SECONDS


class JobQueueWatchdog:
    """Ends the worker if it receives no message while messages wait in its queues."""

    def __init__(self, redis_url: str, queues: Iterable[str], end: Callable[[], None] | None = None) -> None:
        self._client = redis.Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
        self._queues, self._end = tuple(queues), end or stop_process
        self._received_at = monotonic_seconds()

    def start(self, queues: Iterable[str]) -> None:
        """Check in a separate thread until the process ends. The worker reads these queues."""
        self._queues = tuple(queues)
        self.note_receipt()
        threading.Thread(target=self._check_forever, name="watchdog", daemon=True).start()

    def note_receipt(self) -> None:
        """Note that the worker has received a message."""
        self._received_at = monotonic_seconds()

    def check(self, running: int) -> bool:
        """End the worker if it is stuck, and return whether it is. `running` is the number of its tasks."""
        try:
            waiting_count = sum(int(self._client.llen(queue)) for queue in self._queues)
        except redis.RedisError:
            self.note_receipt()  # nobody can receive: the silence counts from the end of the outage
            return False
        if not is_stuck(waiting_count, monotonic_seconds() - self._received_at, running):
            return False
        _LOG.error(
            "the worker receives nothing while %d messages wait: it ends, to be restarted", waiting_count
        )
        self._end()
        return True

    def _check_forever(self) -> None:
        from celery.worker import state  # noqa: PLC0415  # only in a worker

        pause = threading.Event()
        while not pause.wait(CHECK_SECONDS):
            if self.check(len(state.active_requests)):
                return


def stop_process() -> None:
    """Ask the process to end, and kill it if it does not."""
    killer = threading.Timer(KILL_SECONDS, lambda: os._exit(RESTARTED))
    killer.daemon = True
    killer.start()
    os.kill(os.getpid(), signal.SIGTERM)
