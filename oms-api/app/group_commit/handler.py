"""Define the interfaces that a writer calls: the handler of its transactions and its batch metrics."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy import Connection

from app.errors import OmsError

Command_contra = TypeVar("Command_contra", contravariant=True)
OutcomeT = TypeVar("OutcomeT")
CommitCheck = Callable[[Connection], bool]
RetainedState = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[OutcomeT]):
    """The outcomes of a batch, in the order of its commands: a value, or the OmsError that refuses it.

    `is_recorded` returns whether the batch was committed: a batch is committed as a whole, so one of its rows
    decides. It is called in another transaction, after the transaction of the batch has ended. `is_repeated`
    returns whether an outcome is from an earlier batch, and remains valid if this batch was not committed.
    `on_commit` is called in the writer's thread after the commit, unless its response was lost.
    """

    outcomes: list[OutcomeT | OmsError]
    is_recorded: CommitCheck
    is_repeated: Callable[[OutcomeT], bool] = lambda _: False
    on_commit: Callable[[], None] = lambda: None


class BatchHandler(Protocol[Command_contra, OutcomeT]):
    """Writes the commands of a batch in the writer's transaction."""

    def handle(
        self, connection: Connection, commands: Sequence[Command_contra], retained: RetainedState
    ) -> BatchResult[OutcomeT]:
        """Write the commands in the given order. Never commit.

        An error that refuses a command after a change is raised: the transaction is rolled back, and the
        other commands are retried without it. `retained` holds the values that the handler keeps between the
        attempts at a batch. It is empty at the first attempt.
        """


class BatchMetrics(Protocol):
    """Receives the metrics of the writer."""

    def record_batch(self, size: int, seconds: float) -> None:
        """Record that a batch of `size` commands was committed in `seconds`."""
