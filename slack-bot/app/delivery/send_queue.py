"""Queue calls to Slack in lanes, one per channel or person.

A lane that is paced limits its rate. Each lane pauses after a 429. Handlers do not wait for the calls.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

from app.errors import QueueFull, SlackRateLimited
from app.request_priority import run_in_background

log = logging.getLogger(__name__)

PACE_SECONDS = 1.0  # Slack accepts one message per second and channel
MAX_ATTEMPTS = 20  # of a job that Slack refuses with 429
MAX_WAIT_SECONDS = 60.0  # a job with a longer Retry-After is given up


@dataclass(eq=False)
class SendJob:
    """A call to Slack.

    It is retried after `SlackRateLimited` with a short wait. After the last attempt, or another error,
    `give_up` is called.
    """

    work: Callable[[], None]
    give_up: Callable[[], None]
    attempts: int = 0


@dataclass(eq=False)
class _Lane:
    pace_seconds: float
    jobs: deque[SendJob] = field(default_factory=deque)
    ready_at: float = 0.0
    is_busy: bool = False


class SendQueue:
    """Run the jobs of all lanes on shared threads.

    Each lane runs one job at a time, in the order of the queue. With `is_background`, the jobs pause while
    requests are being handled.
    """

    def __init__(
        self,
        *,
        senders: int = 4,
        capacity: int = 5000,
        pace_seconds: float = PACE_SECONDS,
        is_background: bool = False,
    ):
        self._is_background = is_background
        self._senders = senders
        self._capacity = capacity
        self._pace_seconds = pace_seconds
        self._lanes: dict[str, _Lane] = {}
        self._waiting = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    @property
    def pace_seconds(self) -> float:
        """The seconds between two messages of a lane."""
        return self._pace_seconds

    def put(self, lane: str, job: SendJob, *, is_paced: bool = True) -> None:
        """Queue a job. Raises `QueueFull` when the queue is full or closed."""
        with self._changed:
            if self._is_closing:
                raise QueueFull("The bot is stopping.")
            if self._waiting >= self._capacity:
                raise QueueFull("Too many messages wait to be sent.")
            self._waiting += 1
            self._get_lane(lane, is_paced=is_paced).jobs.append(job)
            self._start_sender()
            self._changed.notify_all()  # notify() could wake the thread in close() instead of a sender

    def close(self, within_seconds: float) -> bool:
        """Send the queued jobs for up to `within_seconds`, then stop. Return whether no job is left."""
        until = time.monotonic() + within_seconds
        with self._changed:
            while self._waiting and (remaining_seconds := until - time.monotonic()) > 0:
                self._changed.wait(remaining_seconds)
            self._is_closing = True
            self._changed.notify_all()
            return not self._waiting

    def _get_lane(self, name: str, *, is_paced: bool) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(self._pace_seconds if is_paced else 0.0)
        return self._lanes[name]

    def _start_sender(self) -> None:
        if len(self._threads) < self._senders:
            thread = threading.Thread(
                target=self._send_forever, name=f"outbox-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _send_forever(self) -> None:
        while (next_job := self._pop_job()) is not None:
            lane, job = next_job
            wait_seconds = self._run_job(job)
            self._requeue_job(lane, job, wait_seconds)

    def _pop_job(self) -> tuple[_Lane, SendJob] | None:
        """Wait for the next job and mark its lane as busy. Return None when the outbox is closed."""
        with self._changed:
            while not self._is_closing:
                now = time.monotonic()
                self._remove_idle_lanes(now)
                lanes = [lane for lane in self._lanes.values() if lane.jobs and not lane.is_busy]
                first = min(lanes, key=lambda lane: lane.ready_at, default=None)
                if first is not None and first.ready_at <= now:
                    first.is_busy = True
                    return first, first.jobs.popleft()
                self._changed.wait(first.ready_at - now if first else None)
            return None

    def _remove_idle_lanes(self, now: float) -> None:
        idle = [
            name
            for name, lane in self._lanes.items()
            if not lane.jobs and not lane.is_busy and lane.ready_at <= now
        ]
        for name in idle:
            del self._lanes[name]

    def _run_job(self, job: SendJob) -> float | None:
        """Run a job once. Return how many seconds to wait before the retry, None if there is none."""
        job.attempts += 1
        try:
            with run_in_background() if self._is_background else nullcontext():
                job.work()
        except SlackRateLimited as limit:
            if job.attempts < MAX_ATTEMPTS and limit.retry_after_seconds <= MAX_WAIT_SECONDS:
                return limit.retry_after_seconds
            self._drop_job(job)
        except Exception:  # a failed job must not end the thread
            log.exception("A message could not be sent")
            self._drop_job(job)
        return None

    def _drop_job(self, job: SendJob) -> None:
        try:
            job.give_up()
        except Exception:  # a failed callback must not end the thread
            log.exception("A message was given up")

    def _requeue_job(self, lane: _Lane, job: SendJob, wait_seconds: float | None) -> None:
        with self._changed:
            lane.is_busy = False
            lane.ready_at = time.monotonic() + (lane.pace_seconds if wait_seconds is None else wait_seconds)
            if wait_seconds is None:
                self._waiting -= 1
            else:
                lane.jobs.appendleft(job)
            self._changed.notify_all()
