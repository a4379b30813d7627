"""The bounded queue of the writer, and the writer's thread."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Engine

from app.errors import NotPlaced, OmsError, OutcomeUnknown
from app.group_commit.batch_writer import BatchWriter
from app.group_commit.handler import BatchHandler, BatchMetrics

CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")
AnyFuture = asyncio.Future[OutcomeT] | Future[OutcomeT]

RESPONSE_TIMEOUT_SECONDS = 14.0  # of a caller
TIMEOUT_CHECK_SECONDS = 0.5
START_WITHIN_SECONDS = 8.0  # of its submission, a command is started, or refused when its turn comes
COMMIT_WITHIN_SECONDS = 13.0  # of its submission, COMMIT is sent, or the transaction is rolled back
MAX_LINGER_SECONDS = 0.003
LINGER_FRACTION = 0.25  # fraction of the last batch's duration
_TIMEOUT_MESSAGE = "The database did not answer in time; send it again with the same key."
_NOT_STARTED_MESSAGE = "The database is slow, and this was not recorded; send it again in a moment."
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class QueuedCommand(Generic[CommandT, OutcomeT]):
    """A command with the future of its outcome. `loop` is None if a thread waits for it."""

    command: CommandT
    future: AnyFuture[OutcomeT]
    loop: asyncio.AbstractEventLoop | None
    queued_at: float

    @property
    def is_blocking(self) -> bool:
        """Whether a thread waits for the outcome. It sends nothing else meanwhile."""
        return self.loop is None


class GroupCommit(Generic[CommandT, OutcomeT]):
    """A bounded queue and its one writer thread.

    Callers that receive their responses together tend to send their next commands together. If several are
    expected, the writer waits a moment for them. Otherwise it would write one half of them while the other
    half waits for responses, with twice the statements and commits. A single caller never waits, nor does a
    thread.

    `lock_group` returns a key that commands share if they lock the same rows. If another session holds such a
    lock, the commands of that group are refused and the others go on.
    """

    def __init__(
        self,
        engine: Engine,
        handler: BatchHandler[CommandT, OutcomeT],
        queue_limit: int,
        batch_limit: int,
        metrics: BatchMetrics | None = None,
        lock_group: Callable[[CommandT], Hashable] = lambda _: None,
    ) -> None:
        self._writer = BatchWriter(engine, handler, lock_group)
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._metrics = metrics
        self._queue: deque[QueuedCommand[CommandT, OutcomeT]] = deque()
        self._wake = threading.Condition()
        self._is_closing = False
        self._wake_threshold = 1  # number of queued commands that wakes the writer
        self._expected_commands = 0  # the size of the last batch, and of the queue at its end
        self._linger_seconds = 0.0
        self._current_batch: list[QueuedCommand[CommandT, OutcomeT]] = []
        self._watched_loops: set[asyncio.AbstractEventLoop] = set()
        self._thread = threading.Thread(target=self._write_batches, name="group-commit", daemon=True)

    @property
    def queue_depth(self) -> int:
        """The number of commands that wait for the writer."""
        return len(self._queue)

    @property
    def is_alive(self) -> bool:
        """Whether the writer thread runs and accepts commands."""
        return self._thread.is_alive() and not self._is_closing

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def close(self, seconds: float = 15.0) -> None:
        """Accept no more commands, and wait for the writer. Refuse the commands that it did not write."""
        with self._wake:
            self._is_closing = True
            self._wake.notify()
        self._thread.join(seconds)
        queued_commands = [self._queue.popleft() for _ in range(len(self._queue))]
        error = NotPlaced("The service stopped, and this was not recorded; send the request again.")
        self._resolve_commands(queued_commands, [error] * len(queued_commands))

    def submit(self, command: CommandT) -> "asyncio.Future[OutcomeT]":
        """Queue `command`. The future (of the running loop) resolves after its commit.

        Raises NotPlaced when the queue is full or closing.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[OutcomeT] = loop.create_future()
        self._queue_commands((QueuedCommand(command, future, loop, time.monotonic()),))
        self._watch_timeouts(loop)
        return future

    def submit_all(self, commands: Sequence[CommandT]) -> "list[asyncio.Future[OutcomeT]]":
        """Queue the commands next to each other and in order, all of them or none."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        futures: list[asyncio.Future[OutcomeT]] = [loop.create_future() for _ in commands]
        pairs = zip(commands, futures, strict=True)
        self._queue_commands([QueuedCommand(command, future, loop, now) for command, future in pairs])
        self._watch_timeouts(loop)
        return futures

    def write(self, command: CommandT) -> OutcomeT:
        """Queue `command` and wait for its outcome, in a thread without an event loop.

        Raises NotPlaced like `submit`, OutcomeUnknown after RESPONSE_TIMEOUT_SECONDS, and the error that
        refuses the command.
        """
        future: Future[OutcomeT] = Future()
        self._queue_commands([QueuedCommand(command, future, None, time.monotonic())])
        try:
            return future.result(RESPONSE_TIMEOUT_SECONDS)
        except TimeoutError:
            raise OutcomeUnknown(_TIMEOUT_MESSAGE) from None

    def write_all(self, commands: Sequence[CommandT]) -> list[OutcomeT | OmsError]:
        """Queue commands next to each other and in order, and wait for them in a thread.

        Return the outcome of each, or the error that refuses it. Raises NotPlaced like `submit`, and
        OutcomeUnknown after RESPONSE_TIMEOUT_SECONDS.
        """
        futures: list[Future[OutcomeT]] = [Future() for _ in commands]
        now = time.monotonic()
        pairs = zip(commands, futures, strict=True)
        self._queue_commands([QueuedCommand(command, future, None, now) for command, future in pairs])
        outcomes: list[OutcomeT | OmsError] = []
        for future in futures:
            outcome = _wait_for_outcome(future, now + RESPONSE_TIMEOUT_SECONDS)
            outcomes.append(outcome)
        return outcomes

    def _watch_timeouts(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop not in self._watched_loops:
            self._watched_loops.add(loop)
            loop.call_later(TIMEOUT_CHECK_SECONDS, self._resolve_overdue_commands, loop)

    def _queue_commands(self, queued_commands: Sequence[QueuedCommand[CommandT, OutcomeT]]) -> None:
        with self._wake:
            if self._is_closing:
                raise NotPlaced("The service is stopping, and this was not recorded; send the request again.")
            if len(self._queue) + len(queued_commands) > self._queue_limit:
                raise NotPlaced(
                    "Too many writes are waiting, and this was not recorded; send it again in a moment."
                )
            self._queue.extend(queued_commands)
            # The commands have the same kind of caller.
            if len(self._queue) >= self._wake_threshold or (
                queued_commands and queued_commands[0].is_blocking
            ):
                self._wake.notify()

    def _resolve_overdue_commands(self, loop: asyncio.AbstractEventLoop) -> None:
        """Resolve the commands that waited too long.

        Commands that were not started are refused. The outcome of the others is unknown.
        """
        overdue = time.monotonic() - RESPONSE_TIMEOUT_SECONDS
        with self._wake:
            not_started = []
            while self._queue and self._queue[0].queued_at < overdue:
                not_started.append(self._queue.popleft())
            started = [queued for queued in self._current_batch if queued.queued_at < overdue]
            is_busy = bool(self._queue or self._current_batch)
        self._resolve_commands(not_started, [NotPlaced(_NOT_STARTED_MESSAGE)] * len(not_started))
        self._resolve_commands(started, [OutcomeUnknown(_TIMEOUT_MESSAGE)] * len(started))
        if is_busy:
            loop.call_later(TIMEOUT_CHECK_SECONDS, self._resolve_overdue_commands, loop)
        else:
            self._watched_loops.discard(loop)

    def _write_batches(self) -> None:
        while batch := self._take_batch():
            try:
                self._write_batch(batch)
            except Exception:  # noqa: BLE001  # the writer thread must survive any error
                _LOG.exception("a batch failed; its outcome is unknown", extra={"items": len(batch)})
                self._resolve_commands(batch, [OutcomeUnknown(_TIMEOUT_MESSAGE)] * len(batch))
            self._current_batch = []
        self._writer.drop_connection()

    def _write_batch(self, batch: list[QueuedCommand[CommandT, OutcomeT]]) -> None:
        started = time.monotonic()
        oldest = min(queued.queued_at for queued in batch)
        if oldest < started - START_WITHIN_SECONDS:
            batch = self._refuse_late_commands(batch, started - START_WITHIN_SECONDS)
            oldest = min((queued.queued_at for queued in batch), default=started)
        if not batch:
            return
        outcomes = self._writer.write([queued.command for queued in batch], oldest + COMMIT_WITHIN_SECONDS)
        seconds = time.monotonic() - started
        self._expected_commands = len(batch) + len(self._queue)
        self._linger_seconds = min(MAX_LINGER_SECONDS, seconds * LINGER_FRACTION)
        self._record_metrics(len(batch), seconds)
        self._resolve_commands(batch, outcomes)

    def _refuse_late_commands(
        self, batch: list[QueuedCommand[CommandT, OutcomeT]], earliest: float
    ) -> list[QueuedCommand[CommandT, OutcomeT]]:
        """Refuse the commands that were queued before `earliest`, and return the others."""
        late = [queued for queued in batch if queued.queued_at < earliest]
        self._resolve_commands(late, [NotPlaced(_NOT_STARTED_MESSAGE)] * len(late))
        return [queued for queued in batch if queued.queued_at >= earliest]

    def _record_metrics(self, size: int, seconds: float) -> None:
        try:
            if self._metrics:
                self._metrics.record_batch(size, seconds)
        except Exception:  # noqa: BLE001  # the commands are committed, so no error may reach the callers
            _LOG.exception("the metrics of a batch were not recorded")

    def _take_batch(self) -> list[QueuedCommand[CommandT, OutcomeT]]:
        with self._wake:
            while not self._queue and not self._is_closing:
                self._wake.wait()
            expected = min(self._expected_commands, self._batch_limit)
            if 1 < len(self._queue) < expected and not self._is_closing:
                self._wait_for_commands(expected)
            self._current_batch = [
                self._queue.popleft() for _ in range(min(len(self._queue), self._batch_limit))
            ]
            return self._current_batch

    def _wait_for_commands(self, expected: int) -> None:
        """Wait until the expected number of commands is queued, or until the linger time is over."""
        if any(queued.is_blocking for queued in self._queue):
            return
        self._wake_threshold = expected
        self._wake.wait(self._linger_seconds)
        self._wake_threshold = 1

    def _resolve_commands(
        self,
        queued_commands: Sequence[QueuedCommand[CommandT, OutcomeT]],
        outcomes: Sequence[OutcomeT | OmsError],
    ) -> None:
        """Resolve the futures in their loops, with one call per loop instead of one per command."""
        loops: dict[
            asyncio.AbstractEventLoop | None, list[tuple[AnyFuture[OutcomeT], OutcomeT | OmsError]]
        ] = {}
        for queued, outcome in zip(queued_commands, outcomes, strict=True):
            loops.setdefault(queued.loop, []).append((queued.future, outcome))
        for loop, results in loops.items():
            if loop is None:
                _resolve_futures(results)
            else:
                _call_in_loop(loop, results)


def _call_in_loop(
    loop: asyncio.AbstractEventLoop, results: list[tuple[AnyFuture[OutcomeT], OutcomeT | OmsError]]
) -> None:
    try:
        loop.call_soon_threadsafe(_resolve_futures, results)
    except RuntimeError:
        _LOG.debug("an event loop was closed before its outcomes were known", extra={"items": len(results)})


def _resolve_futures(results: list[tuple[AnyFuture[OutcomeT], OutcomeT | OmsError]]) -> None:
    for future, outcome in results:
        if future.done():
            continue  # the client has disconnected
        try:
            if isinstance(outcome, OmsError):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        except InvalidStateError:
            _LOG.debug("another thread has resolved a command meanwhile")


def _wait_for_outcome(future: "Future[OutcomeT]", deadline: float) -> OutcomeT | OmsError:
    try:
        return future.result(max(deadline - time.monotonic(), 0.0))
    except OmsError as error:
        return error
    except TimeoutError:
        raise OutcomeUnknown(_TIMEOUT_MESSAGE) from None
