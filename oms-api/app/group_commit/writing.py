"""Transactions: a batch at once, and what becomes of its items when that goes wrong."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.engine import discard_plans
from app.database.locks import LockContention, is_file_locked, is_row_locked, set_short_lock_timeout
from app.errors import NotPlaced, OmsError, OutcomeUnknown, Unexpected
from app.group_commit.handler import Handler

Work = TypeVar("Work")
Outcome = TypeVar("Outcome")

RECOVERY_SECONDS = 6.0
RETRY_SECONDS = 5.0  # so long parts of a failed batch are tried again
PLAN_SECONDS = 10.0  # plans that the database keeps are no older
_RECOVERY_PAUSE_SECONDS = 0.2
_LOG = logging.getLogger(__name__)


class LostAtCommit(Exception):
    """The connection broke while COMMIT was under way."""


class Writing(Generic[Work, Outcome]):
    """Write batches through one connection of its own; for one thread.

    `strand` tells which works lock the same rows: where another session holds such a lock, the strand is set
    apart and refused, and the others go on.
    """

    def __init__(
        self, engine: Engine, handler: Handler[Work, Outcome], strand: Callable[[Work], Hashable]
    ) -> None:
        self._engine = engine
        self._handler = handler
        self._strand = strand
        self._jams = LockContention()
        self._connection: Connection | None = None
        self._planned_at = 0.0

    def write(self, works: list[Work]) -> list[Outcome | OmsError]:
        """Write what is free first, and what ran into a lock lately apart from it."""
        try:
            return self._write(works)
        finally:
            self._handler.release(works)

    def _write(self, works: list[Work]) -> list[Outcome | OmsError]:
        jammed = [self._strand(work) in self._jams for work in works] if self._jams else []
        if not any(jammed):
            return self._together(works)
        pairs = list(zip(works, jammed, strict=True))
        free = [work for work, is_jammed in pairs if not is_jammed]
        together = iter(self._together(free) if free else [])
        apart = iter(self._write_by_lock_group([work for work, is_jammed in pairs if is_jammed]))
        return [next(apart if is_jammed else together) for is_jammed in jammed]

    def _together(self, works: list[Work]) -> list[Outcome | OmsError]:
        try:
            return self._transact(works)
        except LostAtCommit:
            return self._recover_commit(works)
        except Exception as error:  # noqa: BLE001  # the thread's edge: whatever it was, the writer lives on
            return self._write_by_lock_group(works) if is_row_locked(error) else self._rescue(works, error)

    def _write_by_lock_group(self, works: list[Work]) -> list[Outcome | OmsError]:
        """Give each strand a transaction of its own, which waits for locks but briefly."""
        deadline = time.monotonic() + RETRY_SECONDS
        outcomes: list[Outcome | OmsError] = [_too_slow()] * len(works)
        strands: dict[Hashable, list[int]] = {}
        for place, work in enumerate(works):
            strands.setdefault(self._strand(work), []).append(place)
        for strand, places in strands.items():
            if time.monotonic() > deadline:
                break
            told = self._apart(strand, [works[place] for place in places])
            for place, outcome in zip(places, told, strict=True):
                outcomes[place] = outcome
        return outcomes

    def _apart(self, strand: Hashable, works: list[Work]) -> list[Outcome | OmsError]:
        if self._jams.is_closed(strand):
            return [_locked()] * len(works)
        try:
            outcomes = self._transact(works, briefly=True)
        except LostAtCommit:
            return self._recover_commit(works)
        except Exception as error:  # noqa: BLE001  # as in _together
            if is_row_locked(error):
                self._jams.close(strand)
            return self._rescue(works, error)
        self._jams.open(strand)
        return outcomes

    def _rescue(self, works: list[Work], error: Exception) -> list[Outcome | OmsError]:
        """Return what becomes of works whose transaction failed before COMMIT."""
        if len(works) == 1 and isinstance(error, OmsError):
            return [error]
        if _connection_lost(error):
            return self._lost(works)
        if is_row_locked(error) or is_file_locked(error):
            _LOG.warning("another session holds a lock", extra={"items": len(works)})
            return [_locked()] * len(works)
        return self._bisect(works, time.monotonic() + RETRY_SECONDS)

    def _bisect(self, works: list[Work], deadline: float) -> list[Outcome | OmsError]:
        """Try the works again; where they fail again, try each half by itself, in the order given.

        One item that cannot be written costs two transactions for each doubling of the batch. What is tried
        again at once may pass: what it ran into (a key that another process bound meanwhile, a deadlock)
        reads otherwise now. Locks and a full disk eat the time: what is not reached by `deadline` is refused.
        """
        if time.monotonic() > deadline:
            return [_too_slow()] * len(works)
        try:
            return self._transact(works, briefly=True)
        except LostAtCommit:
            return self._recover_commit(works)
        except Exception as error:  # noqa: BLE001  # as in _together
            if _connection_lost(error):
                return self._lost(works)
            if len(works) == 1:
                return self._refuse(error)
        middle = len(works) // 2
        return [*self._bisect(works[:middle], deadline), *self._bisect(works[middle:], deadline)]

    @staticmethod
    def _lost(works: list[Work]) -> list[Outcome | OmsError]:
        _LOG.warning("database lost before commit", extra={"items": len(works)})
        return [NotPlaced("The database cannot be reached; nothing was recorded.")] * len(works)

    @staticmethod
    def _refuse(error: Exception) -> list[Outcome | OmsError]:
        if isinstance(error, OmsError):  # a refusal whose effects only a rollback undoes
            return [error]
        if is_row_locked(error) or is_file_locked(error):
            return [_locked()]
        _LOG.error("an item could not be written", exc_info=error)
        if isinstance(error, DBAPIError):
            return [NotPlaced("The database refused this just now; nothing was recorded.")]
        return [Unexpected()]

    def _transact(self, works: list[Work], *, briefly: bool = False) -> list[Outcome | OmsError]:
        try:
            connection = self._connected()
            with connection.begin() as transaction:
                self._renew_plans(connection)
                if briefly:
                    set_short_lock_timeout(connection)
                outcomes = self._handler.handle(connection, works)
                self._commit(transaction.commit)
        except LostAtCommit:
            self.drop_connection()
            raise
        except Exception as error:
            if _connection_lost(error) or self._is_stuck():
                self.drop_connection()
            raise
        return outcomes

    def _renew_plans(self, connection: Connection) -> None:
        """Drop the connection's plans now and then: tables grow."""
        now = time.monotonic()
        if now - self._planned_at > PLAN_SECONDS:
            discard_plans(connection)
            self._planned_at = now

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

    def _recover_commit(self, works: list[Work]) -> list[Outcome | OmsError]:
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
                self.drop_connection()
                time.sleep(_RECOVERY_PAUSE_SECONDS)
        return [OutcomeUnknown("The database was lost while committing; ask again with the same key.")] * len(
            works
        )

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(writes=True)
        return self._connection

    def drop_connection(self) -> None:
        """Give the connection up, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                _LOG.debug("a broken connection did not close", exc_info=True)


def _too_slow() -> NotPlaced:
    return NotPlaced("The database is too slow just now.")


def _locked() -> NotPlaced:
    return NotPlaced("Another session holds a lock on this; nothing was recorded. Send it again in a moment.")


def _connection_lost(error: Exception) -> bool:
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and not _is_statement_error(error)


def _is_statement_error(error: DBAPIError) -> bool:
    """A statement that the database refused (it gives a SQLSTATE, or SQLite's own code), connection
    intact.
    """
    return getattr(error.orig, "pgcode", None) is not None or hasattr(error.orig, "sqlite_errorcode")
