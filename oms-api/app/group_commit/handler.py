"""What a writer is given: what to do in its transactions, and whom to tell of its batches."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from app.errors import OmsError

Work_contra = TypeVar("Work_contra", contravariant=True)
Outcome = TypeVar("Outcome")


class Handler(Protocol[Work_contra, Outcome]):
    """What is done in the transaction. An outcome is a value, or the OmsError that refuses its item."""

    def handle(self, connection: Connection, works: Sequence[Work_contra]) -> list[Outcome | OmsError]:
        """Write `works` in the order given and return an outcome for each. Never commits.

        What refuses an item after it has changed anything is raised: the transaction is rolled back, and the
        others are tried without it.
        """
        ...

    def recover(
        self, connection: Connection, works: Sequence[Work_contra]
    ) -> list[Outcome | OmsError | None]:
        """After a COMMIT whose answer was lost: return what was recorded of each, None where nothing was.

        Must wait, by the locks that `handle` takes, for the lost transaction to end. It is rolled back.
        """
        ...

    def release(self, works: Sequence[Work_contra]) -> None:
        """Drop what is kept of `works` between attempts: all are answered, none is handled again."""
        ...


class Gauges(Protocol):
    """What the writer tells of itself."""

    def batch(self, size: int, seconds: float) -> None:
        """A batch of `size` items was committed in `seconds`."""
        ...
