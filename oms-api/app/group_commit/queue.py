"""The bounded queue before the writer, and the writer's thread."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Engine

from app.errors import NotPlaced, OmsError, OutcomeUnknown
from app.group_commit.handler import Gauges, Handler
from app.group_commit.writing import Writing

Work = TypeVar("Work")
Outcome = TypeVar("Outcome")

ANSWER_SECONDS = 14.0  # no caller waits longer
SWEEP_SECONDS = 0.5
MOST_LINGER_SECONDS = 0.003
LINGER_SHARE = 0.25  # of the time that the last batch took


@dataclass(slots=True)
class _Item(Generic[Work, Outcome]):
    work: Work
    future: "asyncio.Future[Outcome]"
    loop: asyncio.AbstractEventLoop
    since: float


class GroupCommit(Generic[Work, Outcome]):
    """A bounded queue and its one writer thread.

    Callers who were answered together come again together. With several of them about, the writer lingers
    for a moment until they are back: else half of them would be written while the other half is answered,
    with twice the statements and commits, and two threads in each other's way. A lone caller waits for
    nobody.

    `strand` tells which works lock the same rows: where another session holds such a lock, the strand is set
    apart and refused, and the others go on.
    """

    def __init__(
        self,
        engine: Engine,
        handler: Handler[Work, Outcome],
        queue_limit: int,
        batch_limit: int,
        gauges: Gauges | None = None,
        strand: Callable[[Work], Hashable] = lambda _: None,
    ) -> None:
        self._writing = Writing(engine, handler, strand)
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._gauges = gauges
        self._queue: deque[_Item[Work, Outcome]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._wakes_at = 1  # items in the queue
        self._about = 0  # items that were in hand or in the queue when the last batch was answered
        self._linger_seconds = 0.0
        self._in_hand: list[_Item[Work, Outcome]] = []
        self._sweeps: set[asyncio.AbstractEventLoop] = set()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    @property
    def depth(self) -> int:
        """How many items wait for the writer."""
        return len(self._queue)

    @property
    def alive(self) -> bool:
        """Whether the writer thread runs and takes work."""
        return self._thread.is_alive() and not self._closing

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def close(self, seconds: float = 15.0) -> None:
        """Take nothing more, write what was taken, and wait for the writer; refuse what it could not get
        to.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(seconds)
        left = [self._queue.popleft() for _ in range(len(self._queue))]
        self._answer(left, [NotPlaced("The service stopped before this was written.")] * len(left))

    def submit(self, work: Work) -> "asyncio.Future[Outcome]":
        """Queue `work`; the future (of the running loop) resolves after its commit. NotPlaced when full or
        closing.
        """
        return self.submit_all([work])[0]

    def submit_all(self, works: Sequence[Work]) -> "list[asyncio.Future[Outcome]]":
        """Queue `works` next to each other and in order, all of them or none."""
        loop = asyncio.get_running_loop()
        now = time.monotonic()
        items: list[_Item[Work, Outcome]] = [_Item(work, loop.create_future(), loop, now) for work in works]
        with self._wake:
            if self._closing:
                raise NotPlaced("The service is stopping; nothing was recorded. Send it again.")
            if len(self._queue) + len(items) > self._queue_limit:
                raise NotPlaced(
                    "Too many writes are waiting; nothing was recorded. Send it again in a moment."
                )
            self._queue.extend(items)
            if len(self._queue) >= self._wakes_at:
                self._wake.notify()
        if loop not in self._sweeps:
            self._sweeps.add(loop)
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        return [item.future for item in items]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer what waited too long: what was not begun is refused for certain, the rest is not known."""
        overdue = time.monotonic() - ANSWER_SECONDS
        with self._wake:
            unbegun = []
            while self._queue and self._queue[0].since < overdue:
                unbegun.append(self._queue.popleft())
            begun = [item for item in self._in_hand if item.since < overdue]
        self._answer(unbegun, [NotPlaced("The database is slow; nothing was recorded.")] * len(unbegun))
        self._answer(
            begun, [OutcomeUnknown("The database is slow; ask again with the same key.")] * len(begun)
        )
        if self._queue or self._in_hand:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)
        else:
            self._sweeps.discard(loop)

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.perf_counter()
            outcomes = self._writing.write([item.work for item in batch])
            seconds = time.perf_counter() - started
            if self._gauges:
                self._gauges.batch(len(batch), seconds)
            self._about = len(batch) + len(self._queue)
            self._linger_seconds = min(MOST_LINGER_SECONDS, seconds * LINGER_SHARE)
            self._answer(batch, outcomes)
            self._in_hand = []
        self._writing.drop_connection()

    def _next_batch(self) -> list[_Item[Work, Outcome]]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            crowd = min(self._about, self._batch_limit)
            if 1 < len(self._queue) < crowd and not self._closing:
                self._linger(crowd)
            self._in_hand = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_limit))]
            return self._in_hand

    def _linger(self, crowd: int) -> None:
        """Wait until so many are here, or for as long as that may pay."""
        self._wakes_at = crowd
        self._wake.wait(self._linger_seconds)
        self._wakes_at = 1

    def _answer(self, items: Sequence[_Item[Work, Outcome]], outcomes: Sequence[Outcome | OmsError]) -> None:
        """Resolve the futures in their loop, with one call for each loop, not one for each item."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Outcome], Outcome | OmsError]]] = {}
        for item, outcome in zip(items, outcomes, strict=True):
            loops.setdefault(item.loop, []).append((item.future, outcome))
        for loop, answers in loops.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, answers)


def _resolve(answers: "list[tuple[asyncio.Future[Outcome], Outcome | OmsError]]") -> None:
    for future, outcome in answers:
        if future.done():
            continue  # the client went away
        if isinstance(outcome, OmsError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
