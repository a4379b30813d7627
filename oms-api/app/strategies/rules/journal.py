"""The journal of the inputs of a strategy, in order, each hashed with the hash of the previous input."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.timestamps import format_timestamp

FIRST_HASH = "0" * 64


class InputKind(StrEnum):
    """The kind of an input of a strategy.

    START has the code, parameters, bars of the past and saved state. BARS has the bars of one start, ORDER a
    new status of an own order. STOP is the last input of a run.
    """

    START = "start"
    BARS = "bars"
    QUOTE = "quote"
    FILL = "fill"
    ORDER = "order"
    STOP = "stop"


class NewInput(NamedTuple):
    """An input that is not in the journal yet. `payload` is JSON text."""

    kind: InputKind
    at: datetime
    payload: str


class JournalInput(NamedTuple):
    """An input in the journal, with all columns of its row."""

    tenant_id: int
    strategy: str
    sequence: int
    run: int
    kind: InputKind
    at: datetime
    payload: str
    hash: str


class JournalHead(NamedTuple):
    """The last input of a journal."""

    sequence: int
    hash: str


NO_HEAD = JournalHead(0, FIRST_HASH)


def link_inputs(
    tenant_id: int, strategy: str, run: int, head: JournalHead, inputs: Sequence[NewInput]
) -> list[JournalInput]:
    """Return inputs as the next ones of a journal."""
    linked = []
    (sequence, previous) = head
    for new_input in inputs:
        sequence += 1
        journal_input = JournalInput(
            tenant_id=tenant_id,
            strategy=strategy,
            sequence=sequence,
            run=run,
            kind=new_input.kind,
            at=new_input.at,
            payload=new_input.payload,
            hash="",
        )
        previous = compute_hash(previous, journal_input)
        linked.append(journal_input._replace(hash=previous))
    return linked


def compute_hash(previous: str, journal_input: JournalInput) -> str:
    """Return the hash of an input. `previous` is the hash of the input before it."""
    fields = (
        previous,
        journal_input.tenant_id,
        journal_input.strategy,
        journal_input.sequence,
        journal_input.run,
        journal_input.kind,
        format_timestamp(journal_input.at),
        journal_input.payload,
    )
    return hashlib.sha256("\n".join(map(str, fields)).encode()).hexdigest()


class JournalEnd(NamedTuple):
    """The end of a journal. `broken` is the first input that does not follow the previous input, or None."""

    broken: int | None
    head: JournalHead


def compute_journal_end(inputs: Iterable[JournalInput]) -> JournalEnd:
    """Return where a journal ends, or is broken.

    The first of the inputs may follow deleted ones: it is only the start of the chain.
    """
    previous = NO_HEAD
    for journal_input in inputs:
        is_first = previous is NO_HEAD and journal_input.sequence > 1
        follows = (
            journal_input.sequence == previous.sequence + 1
            and compute_hash(previous.hash, journal_input) == journal_input.hash
        )
        if not (follows or is_first):
            return JournalEnd(journal_input.sequence, previous)
        previous = JournalHead(journal_input.sequence, journal_input.hash)
    return JournalEnd(None, previous)


def find_broken_sequence(inputs: Iterable[JournalInput]) -> int | None:
    """Return the sequence of the first input that does not follow the previous input, None if all do."""
    return compute_journal_end(inputs).broken
