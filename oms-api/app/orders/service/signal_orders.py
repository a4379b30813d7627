"""Process signals in the batch that places their orders, so that one transaction stores both.

The package `signals` builds on this one. It implements the protocols below.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from app.database.bulk import BulkWrite
from app.group_commit import CommitCheck
from app.orders.service.command_results import SignalProcessed
from app.orders.service.commands import PlaceSignal, WriterCommand

Context_contra = TypeVar("Context_contra", contravariant=True)  # the context of the batch


class SignalBatchProtocol(Protocol[Context_contra]):
    """The signals of one batch."""

    @property
    def commands(self) -> Sequence[PlaceSignal]:
        """The commands of the signals, with their portfolios and the idempotency keys of their orders."""

    def load(self, connection: Connection) -> None:
        """Read which of the signals are stored. The keys of their orders are locked."""

    def process(self, context: Context_contra, command: PlaceSignal) -> SignalProcessed:
        """Place the order of a signal. Raises an OmsError if it is refused, and not stored."""

    def build_writes(self) -> Sequence[BulkWrite]:
        """Return the statements that store the processed signals."""

    def build_commit_check(self) -> CommitCheck | None:
        """Return a function that checks whether the batch was committed, None if it stores no signal."""

    def count_committed(self) -> None:
        """Count the stored signals in the metrics, after the commit."""


class SignalHandlerProtocol(Protocol[Context_contra]):
    """Creates the signals of each batch. One instance serves a process."""

    def begin(
        self, connection: Connection, commands: Sequence[PlaceSignal]
    ) -> SignalBatchProtocol[Context_contra]:
        """Return the signals of a batch, after reading the rules by which they trade."""


def begin_signals(
    handler: SignalHandlerProtocol[Context_contra] | None,
    connection: Connection,
    commands: Sequence[WriterCommand],
) -> tuple[SignalBatchProtocol[Context_contra] | None, Sequence[WriterCommand]]:
    """Return the signals of a batch, None if it has none, and all of its commands with prepared signals."""
    signal_commands = [command for command in commands if isinstance(command, PlaceSignal)]
    if not signal_commands:
        return None, commands
    assert handler is not None  # noqa: S101  # only processes with a handler submit signals
    signals = handler.begin(connection, signal_commands)
    prepared = iter(signals.commands)
    return signals, [next(prepared) if isinstance(command, PlaceSignal) else command for command in commands]
