"""Define what a writer calls: the handler of its transactions, and the metrics of its batches."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from app.errors import OmsError

Command_contra = TypeVar("Command_contra", contravariant=True)
Outcome = TypeVar("Outcome")


class Handler(Protocol[Command_contra, Outcome]):
    """Processes commands in the transaction. An outcome is a value or a refusing OmsError."""

    def handle(self, connection: Connection, commands: Sequence[Command_contra]) -> list[Outcome | OmsError]:
        """Write the commands in the given order and return an outcome for each. Never commit.

        An error that refuses a command after a change is raised: the transaction is rolled back, and the
        others are retried without it.
        """
        ...

    def recover(
        self, connection: Connection, commands: Sequence[Command_contra]
    ) -> list[Outcome | OmsError | None]:
        """Return what was recorded of each command after a lost COMMIT, None for what was not.

        It must take the locks of `handle`, to wait until the lost transaction has ended. Its own transaction
        is rolled back.
        """
        ...

    def release(self, commands: Sequence[Command_contra]) -> None:
        """Drop the state of the commands that is kept between attempts: all are answered, none is retried."""
        ...


class Gauges(Protocol):
    """Receives the metrics of the writer."""

    def batch(self, size: int, seconds: float) -> None:
        """Record that a batch of `size` commands was committed in `seconds`."""
        ...
