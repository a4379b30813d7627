"""One writer thread, many requests: everything that waits is written in one transaction.

A durable commit costs one disk flush however many items it carries. The writer takes all that waits, runs the
handler once, commits, and only then answers. A statement that fails before COMMIT makes the writer run the
items one by one, so that a bad item harms no other. A connection lost before COMMIT recorded nothing. A
connection lost at COMMIT leaves the outcome open; then the handler's own `recover` says what is true.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from app.errors import NotPlaced, OmsError, OutcomeUnknown, Unexpected

Work = TypeVar("Work")
Work_contra = TypeVar("Work_contra", contravariant=True)
Outcome = TypeVar("Outcome")

ANSWER_SECONDS = 14.0  # no caller waits longer
SWEEP_SECONDS = 0.5
RECOVERY_SECONDS = 6.0
ONE_BY_ONE_SECONDS = 5.0
_RECOVERY_PAUSE_SECONDS = 0.2
_LOG = logging.getLogger(__name__)


class Handler(Protocol[Work_contra, Outcome]):
    """What is done in the transaction. An outcome is a value, or the OmsError that refuses its item."""

    def handle(self, connection: Connection, works: Sequence[Work_contra]) -> list[Outcome | OmsError]:
        """Write `works` in the order given and return an outcome for each. Never commits."""
        ...

    def recover(
        self, connection: Connection, works: Sequence[Work_contra]
    ) -> list[Outcome | OmsError | None]:
        """After a COMMIT whose answer was lost: return what was recorded of each, None where nothing was.

        Must wait, by the locks that `handle` takes, for the lost transaction to end. It is rolled back.
        """
        ...


class Gauges(Protocol):
    """What the writer tells of itself."""

    def batch(self, size: int, seconds: float) -> None:
        """A batch of `size` items was committed in `seconds`."""
        ...


@dataclass(slots=True)
class _Item(Generic[Work, Outcome]):
    work: Work
    future: "asyncio.Future[Outcome]"
    loop: asyncio.AbstractEventLoop
    since: float


class LostAtCommit(Exception):
    """The connection broke while COMMIT was under way."""


class GroupCommit(Generic[Work, Outcome]):
    """A bounded queue and its one writer thread."""

    def __init__(
        self,
        engine: Engine,
        handler: Handler[Work, Outcome],
        queue_limit: int,
        batch_limit: int,
        gauges: Gauges | None = None,
    ) -> None:
        self._engine = engine
        self._handler = handler
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._gauges = gauges
        self._queue: deque[_Item[Work, Outcome]] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._connection: Connection | None = None
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
            outcomes = self._write([item.work for item in batch])
            if self._gauges:
                self._gauges.batch(len(batch), time.perf_counter() - started)
            self._answer(batch, outcomes)
            self._in_hand = []
        self._drop_connection()

    def _next_batch(self) -> list[_Item[Work, Outcome]]:
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            self._in_hand = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch_limit))]
            return self._in_hand

    def _write(self, works: list[Work]) -> list[Outcome | OmsError]:
        try:
            return self._transact(works)
        except LostAtCommit:
            return self._settle(works)
        except Exception as error:  # noqa: BLE001  # the thread's edge: whatever it was, the writer lives on
            return self._lost(works) if _connection_lost(error) else self._one_by_one(works)

    def _one_by_one(self, works: list[Work]) -> list[Outcome | OmsError]:
        """Give each item a transaction of its own; stop trying when locks or a full disk eat the time.

        A lone item is tried again too: what it ran into (a key that another process bound meanwhile, a
        deadlock) reads otherwise now.
        """
        deadline = time.monotonic() + ONE_BY_ONE_SECONDS
        outcomes: list[Outcome | OmsError] = []
        for work in works:
            late = time.monotonic() > deadline
            outcomes += [NotPlaced("The database is too slow just now.")] if late else self._alone(work)
        return outcomes

    def _alone(self, work: Work) -> list[Outcome | OmsError]:
        try:
            return self._transact([work])
        except LostAtCommit:
            return self._settle([work])
        except Exception as error:  # noqa: BLE001  # as in _write
            return self._lost([work]) if _connection_lost(error) else self._refuse(error)

    @staticmethod
    def _lost(works: list[Work]) -> list[Outcome | OmsError]:
        _LOG.warning("database lost before commit", extra={"items": len(works)})
        return [NotPlaced("The database cannot be reached; nothing was recorded.")] * len(works)

    @staticmethod
    def _refuse(error: Exception) -> list[Outcome | OmsError]:
        _LOG.error("an item could not be written", exc_info=error)
        if isinstance(error, DBAPIError):
            return [NotPlaced("The database refused this just now; nothing was recorded.")]
        return [Unexpected()]

    def _transact(self, works: list[Work]) -> list[Outcome | OmsError]:
        try:
            connection = self._connected()
            with connection.begin() as transaction:
                outcomes = self._handler.handle(connection, works)
                self._commit(transaction.commit)
        except LostAtCommit:
            self._drop_connection()
            raise
        except Exception as error:
            if _connection_lost(error) or self._is_stuck():
                self._drop_connection()
            raise
        return outcomes

    def _is_stuck(self) -> bool:
        """Tell whether the transaction stayed open: SQLAlchemy leaves it so when COMMIT is refused."""
        return self._connection is not None and self._connection.get_transaction() is not None

    @staticmethod
    def _commit(commit: Callable[[], None]) -> None:
        try:
            commit()
        except SQLAlchemyError as error:
            if _connection_lost(error):
                raise LostAtCommit from error
            raise

    def _settle(self, works: list[Work]) -> list[Outcome | OmsError]:
        """Look for what a lost COMMIT left; `recover` waits for the old transaction by the locks it holds."""
        _LOG.warning("connection lost at commit; looking for what was recorded", extra={"items": len(works)})
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            try:
                connection = self._connected()
                with connection.begin() as looking:
                    found = self._handler.recover(connection, works)
                    looking.rollback()
                return [NotPlaced("Nothing was recorded.") if one is None else one for one in found]
            except Exception as error:  # noqa: BLE001  # the thread's edge; tried again until the deadline
                _LOG.warning("the outcome of a commit cannot be told yet", exc_info=error)
                self._drop_connection()
                time.sleep(_RECOVERY_PAUSE_SECONDS)
        return [OutcomeUnknown("The database was lost while committing; ask again with the same key.")] * len(
            works
        )

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(writes=True)
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                _LOG.debug("a broken connection did not close", exc_info=True)

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


def _connection_lost(error: Exception) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and not _is_statement_error(error)


def _is_statement_error(error: DBAPIError) -> bool:
    """A statement that the database refused (it gives a SQLSTATE, or SQLite's own code), connection
    intact.
    """
    return getattr(error.orig, "pgcode", None) is not None or hasattr(error.orig, "sqlite_errorcode")
