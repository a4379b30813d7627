"""Write batches in transactions, and handle the failures of their commands."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.database.commit_status import CommitStatus, load_commit_status, take_transaction_number
from app.database.engine import discard_plans
from app.database.locks import LockContention, is_file_locked, is_row_locked, set_short_lock_timeout
from app.errors import NotPlaced, OmsError, OutcomeUnknown, Unexpected, WriteRefused
from app.group_commit.handler import BatchHandler, BatchResult, RetainedState

CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")

MAX_RECOVERY_SECONDS = 6.0
MAX_RETRY_SECONDS = 5.0  # of the parts of a failed batch
MAX_PLAN_AGE_SECONDS = 10.0  # of cached query plans
_RECOVERY_PAUSE_SECONDS = 0.2
_LOG = logging.getLogger(__name__)


class LostAtCommit(Exception):
    """Raised when the connection is lost during COMMIT. `transaction_id` identifies the transaction."""

    def __init__(self, result: BatchResult[Any], transaction_id: str | None) -> None:
        super().__init__()
        self.result = result
        self.transaction_id = transaction_id


class StillRunning(Exception):
    """Raised while a transaction whose connection was lost has not ended."""


class BatchWriter(Generic[CommandT, OutcomeT]):
    """Writes batches through one connection, in one thread.

    `lock_group` returns a key that commands share if they lock the same rows. If another session holds such a
    lock, the commands of that group are refused and the others go on.
    """

    def __init__(
        self,
        engine: Engine,
        handler: BatchHandler[CommandT, OutcomeT],
        lock_group: Callable[[CommandT], Hashable],
    ) -> None:
        self._engine = engine
        self._handler = handler
        self._get_lock_group = lock_group
        self._contention = LockContention()
        self._connection: Connection | None = None
        self._retained: RetainedState = {}  # values of the handler, kept between the attempts at a batch
        self._plans_discarded_at = 0.0
        self._commit_deadline = 0.0

    def write(self, commands: list[CommandT], commit_deadline: float) -> list[OutcomeT | OmsError]:
        """Write the commands. Groups that recently waited for a lock are written separately.

        No COMMIT is sent after `commit_deadline` (of the monotonic clock): a transaction that is not finished
        by then is rolled back, and its commands are refused.
        """
        self._retained, self._commit_deadline = {}, commit_deadline
        is_contended = (
            [self._get_lock_group(command) in self._contention for command in commands]
            if self._contention
            else []
        )
        if not any(is_contended):
            return self._write_jointly(commands)
        pairs = list(zip(commands, is_contended, strict=True))
        free = [command for command, is_locked in pairs if not is_locked]
        joint_outcomes = iter(self._write_jointly(free) if free else [])
        separate_outcomes = iter(
            self._write_by_lock_group([command for command, is_locked in pairs if is_locked])
        )
        return [next(separate_outcomes if is_locked else joint_outcomes) for is_locked in is_contended]

    def _write_jointly(self, commands: list[CommandT]) -> list[OutcomeT | OmsError]:
        try:
            return self._write_commands(commands)
        except LostAtCommit as lost:
            return self._resolve_commit(lost)
        except Exception as error:  # noqa: BLE001  # the writer thread must survive any error
            return (
                self._write_by_lock_group(commands)
                if is_row_locked(error)
                else self._handle_failure(commands, error)
            )

    def _write_by_lock_group(self, commands: list[CommandT]) -> list[OutcomeT | OmsError]:
        """Write each lock group in its own transaction, which waits only briefly for locks."""
        deadline = self._get_retry_deadline()
        outcomes: list[OutcomeT | OmsError] = [_build_timeout_error()] * len(commands)
        groups: dict[Hashable, list[int]] = {}
        for index, command in enumerate(commands):
            groups.setdefault(self._get_lock_group(command), []).append(index)
        for lock_group, indexes in groups.items():
            if time.monotonic() > deadline:
                break
            group_outcomes = self._write_lock_group(lock_group, [commands[index] for index in indexes])
            for index, outcome in zip(indexes, group_outcomes, strict=True):
                outcomes[index] = outcome
        return outcomes

    def _write_lock_group(self, lock_group: Hashable, commands: list[CommandT]) -> list[OutcomeT | OmsError]:
        if self._contention.is_closed(lock_group):
            return [_build_lock_error()] * len(commands)
        try:
            outcomes = self._write_commands(commands, has_short_lock_timeout=True)
        except LostAtCommit as lost:
            return self._resolve_commit(lost)
        except Exception as error:  # noqa: BLE001  # as in `_write_jointly`
            if is_row_locked(error):
                self._contention.close(lock_group)
            return self._handle_failure(commands, error)
        self._contention.open(lock_group)
        return outcomes

    def _handle_failure(self, commands: list[CommandT], error: Exception) -> list[OutcomeT | OmsError]:
        """Return the outcomes of commands whose transaction failed before COMMIT."""
        if len(commands) == 1 and isinstance(error, OmsError):
            return [error]
        if _is_connection_lost(error):
            return self._build_lost_connection_errors(commands)
        if is_row_locked(error) or is_file_locked(error):
            _LOG.warning("another session holds a lock", extra={"items": len(commands)})
            return [_build_lock_error()] * len(commands)
        return self._write_halves(commands, self._get_retry_deadline())

    def _get_retry_deadline(self) -> float:
        return min(time.monotonic() + MAX_RETRY_SECONDS, self._commit_deadline)

    def _write_halves(self, commands: list[CommandT], deadline: float) -> list[OutcomeT | OmsError]:
        """Retry the commands; if they fail again, try each half on its own, in the given order.

        One failing command costs two transactions for each doubling of the batch. A retry may succeed, for
        example after a deadlock, or when another process has recorded the same key meanwhile. Locks and a
        full disk cost time: commands not reached by `deadline` are refused.
        """
        if time.monotonic() > deadline:
            return [_build_timeout_error()] * len(commands)
        try:
            return self._write_commands(commands, has_short_lock_timeout=True)
        except LostAtCommit as lost:
            return self._resolve_commit(lost)
        except Exception as error:  # noqa: BLE001  # as in `_write_jointly`
            if _is_connection_lost(error):
                return self._build_lost_connection_errors(commands)
            if len(commands) == 1:
                return self._build_errors(error)
        middle = len(commands) // 2
        return [
            *self._write_halves(commands[:middle], deadline),
            *self._write_halves(commands[middle:], deadline),
        ]

    @staticmethod
    def _build_lost_connection_errors(commands: list[CommandT]) -> list[OutcomeT | OmsError]:
        _LOG.warning("database lost before commit", extra={"items": len(commands)})
        return [
            NotPlaced("The database cannot be reached, and this was not recorded; send it again in a moment.")
        ] * len(commands)

    @staticmethod
    def _build_errors(error: Exception) -> list[OutcomeT | OmsError]:
        if isinstance(error, OmsError):  # a refusal that needed a rollback
            return [error]
        if is_row_locked(error) or is_file_locked(error):
            return [_build_lock_error()]
        _LOG.error("an item could not be written", exc_info=error)
        if isinstance(error, DBAPIError):
            return [
                WriteRefused(
                    "The database refused the write, and this was not recorded; send it again in a moment."
                )
            ]
        return [Unexpected()]

    def _write_commands(
        self, commands: list[CommandT], *, has_short_lock_timeout: bool = False
    ) -> list[OutcomeT | OmsError]:
        try:
            connection = self._get_connection()
            with connection.begin() as transaction:
                self._renew_plans(connection)
                if has_short_lock_timeout:
                    set_short_lock_timeout(connection)
                take_transaction_number(connection)  # drop the number of an earlier transaction
                result = self._handler.handle(connection, commands, self._retained)
                if time.monotonic() > self._commit_deadline:
                    transaction.rollback()
                    return _refuse_new_outcomes(result, _build_timeout_error())
                self._commit_transaction(transaction.commit, result, take_transaction_number(connection))
        except LostAtCommit:
            self.drop_connection()
            raise
        except Exception as error:
            if _is_connection_lost(error) or self._is_stuck():
                self.drop_connection()
            raise
        self._update_caches(result)
        return result.outcomes

    @staticmethod
    def _update_caches(result: BatchResult[OutcomeT]) -> None:
        """Call `on_commit`. The commands are committed, so no error may reach the caller."""
        try:
            result.on_commit()
        except Exception:  # noqa: BLE001  # the writer thread must survive any error
            _LOG.exception("caches were not updated after a commit")

    def _renew_plans(self, connection: Connection) -> None:
        """Drop the connection's query plans from time to time, because tables grow."""
        now = time.monotonic()
        if now - self._plans_discarded_at > MAX_PLAN_AGE_SECONDS:
            discard_plans(connection)
            self._plans_discarded_at = now

    def _is_stuck(self) -> bool:
        """Return whether the transaction is still open. SQLAlchemy leaves it open when COMMIT is refused."""
        return self._connection is not None and self._connection.get_transaction() is not None

    @staticmethod
    def _commit_transaction(
        commit: Callable[[], None], result: BatchResult[OutcomeT], transaction_id: str | None
    ) -> None:
        try:
            commit()
        except SQLAlchemyError as error:
            if _is_connection_lost(error):
                raise LostAtCommit(result, transaction_id) from error
            raise

    def _resolve_commit(self, lost_commit: LostAtCommit) -> list[OutcomeT | OmsError]:
        """Find out whether a lost COMMIT was carried out, once its transaction has ended."""
        outcomes: list[OutcomeT | OmsError] = lost_commit.result.outcomes
        _LOG.warning(
            "connection lost at commit; looking for what was recorded", extra={"items": len(outcomes)}
        )
        deadline = time.monotonic() + MAX_RECOVERY_SECONDS
        while time.monotonic() < deadline:
            try:
                if self._is_committed(lost_commit):
                    return outcomes
                not_placed = NotPlaced(
                    "The database connection was lost, and this was not recorded; send it again in a moment."
                )
                return _refuse_new_outcomes(lost_commit.result, not_placed)
            except Exception as error:  # noqa: BLE001  # retried until the deadline
                _LOG.warning("the outcome of a commit is not known yet", exc_info=error)
                self.drop_connection()
                time.sleep(_RECOVERY_PAUSE_SECONDS)
        return [
            OutcomeUnknown(
                "The database connection was lost during the commit; send it again with the same key."
            )
        ] * len(outcomes)

    def _is_committed(self, lost_commit: LostAtCommit) -> bool:
        """Return whether a transaction was committed. Raises StillRunning if it has not ended.

        Its rows confirm its number, which belongs to another transaction if a crash lost this one.
        """
        with self._get_connection().begin():
            status = load_commit_status(self._get_connection(), lost_commit.transaction_id)
        if status is CommitStatus.RUNNING:
            raise StillRunning
        if status is CommitStatus.ABORTED:
            return False
        with self._get_connection().begin():
            return lost_commit.result.is_recorded(self._get_connection())

    def _get_connection(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(writes=True, prepares=True)
        return self._connection

    def drop_connection(self) -> None:
        """Close the connection, whatever its state."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except SQLAlchemyError:
                _LOG.debug("a broken connection did not close", exc_info=True)


def _refuse_new_outcomes(result: BatchResult[OutcomeT], error: NotPlaced) -> list[OutcomeT | OmsError]:
    """Return the outcomes of a batch that was not committed: only repeats and refusals remain valid."""
    return [
        outcome if isinstance(outcome, OmsError) or result.is_repeated(outcome) else error
        for outcome in result.outcomes
    ]


def _build_timeout_error() -> NotPlaced:
    return NotPlaced("The database is too slow, and this was not recorded; send it again in a moment.")


def _build_lock_error() -> NotPlaced:
    return NotPlaced("Another session holds a lock, and this was not recorded; send it again in a moment.")


def _is_connection_lost(error: Exception) -> bool:
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return True
    return isinstance(error, (OperationalError, InterfaceError)) and not _is_statement_error(error)


def _is_statement_error(error: DBAPIError) -> bool:
    """Return whether the database refused a statement and the connection is intact.

    Such an error has a SQLSTATE, or SQLite's own code.
    """
    return getattr(error.orig, "pgcode", None) is not None or hasattr(error.orig, "sqlite_errorcode")
