"""Selects the rows of a hash chain that a run verifies, and verifies them.

Each run verifies the rows that are new since the last run, and a part of the older ones. So a run is short,
and each row is read again after about REPEATED_PARTS runs. A short chain is read completely at each run.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from app.audit.rules.chain import START, Head
from app.audit.rules.export_verification import compute_entry_hash, find_entry_error
from app.ledger.rules.cash import CASH_HASH_VERSION, CashRow, hash_cash
from app.ledger.rules.exports import find_row_problem, hash_covered_values

REPEATED_PARTS = 7
MIN_REPEATED_ROWS = 1_000


class ChainKind(StrEnum):
    """The table whose rows are chained."""

    AUDIT = "audit"
    LEDGER = "ledger"
    CASH = "cash"


class ChainKey(NamedTuple):
    """A hash chain: of a tenant's audit log, or of a portfolio. `portfolio_id` is 0 for an audit log."""

    tenant_id: int
    kind: ChainKind
    portfolio_id: int = 0


class ChainedRow(Protocol):
    """A row of a chain: a named tuple whose last value is its hash."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over its values."""

    @property
    def sequence(self) -> int:
        """Its number in the chain, from 1."""

    @property
    def hash(self) -> str:
        """Its hash, which covers the hash of the row before it."""


class Checkpoint(NamedTuple):
    """The progress of the verification of a chain.

    All rows up to `verified` were verified once. `repeated` is the last one of them that was read again in
    the current round. `failure` is why the chain is broken, None if it is not.
    """

    verified: Head = START
    repeated: Head = START
    failure: str | None = None


class ChainSegment(NamedTuple):
    """Rows to verify: those after `start` up to the sequence `end`. The hash of the last must be `hash`.

    `hash` is None if the segment ends within rows whose hash is stored nowhere else.
    """

    start: Head
    end: int
    hash: str | None


class BrokenChain(Exception):
    """A row is wrong or missing. `sequence` is that of the first one."""

    def __init__(self, sequence: int, reason: str) -> None:
        super().__init__(reason)
        self.sequence = sequence


def plan_new_rows(checkpoint: Checkpoint, head: Head) -> ChainSegment:
    """Return the rows that a run verifies for the first time: those up to `head`, the end of the chain.

    Raises BrokenChain if the chain has become shorter.
    """
    verified_head = checkpoint.verified
    if head.sequence < verified_head.sequence:
        reason = f"the chain ends at {head.sequence}, but was verified up to {verified_head.sequence}"
        raise BrokenChain(head.sequence + 1, reason)
    return ChainSegment(verified_head, head.sequence, head.hash)


def plan_repeated_rows(checkpoint: Checkpoint) -> ChainSegment:
    """Return the rows that a run reads again: a part of those that earlier runs have verified."""
    verified_head, repeated_head = checkpoint.verified, checkpoint.repeated
    begins = repeated_head.sequence >= verified_head.sequence or verified_head.sequence <= MIN_REPEATED_ROWS
    start = START if begins else repeated_head
    rows = max(MIN_REPEATED_ROWS, -(-verified_head.sequence // REPEATED_PARTS))
    if start.sequence + rows >= verified_head.sequence:
        return ChainSegment(start, *verified_head)
    return ChainSegment(start, start.sequence + rows, None)


def verify_rows(kind: ChainKind, rows: Iterable[ChainedRow], segment: ChainSegment) -> Head:
    """Return the last row of a segment, whose `rows` are in order. Raises BrokenChain."""
    head = segment.start
    for row in rows:
        expected_sequence = head.sequence + 1
        if row.sequence != expected_sequence:
            raise BrokenChain(expected_sequence, f"row {expected_sequence} is missing")
        error = _find_error(kind, tuple(row), head.hash)
        if error is not None:
            raise BrokenChain(expected_sequence, error)
        head = Head(row.sequence, row.hash)
    if head.sequence < segment.end:
        expected_sequence = head.sequence + 1
        raise BrokenChain(expected_sequence, f"row {expected_sequence} is missing")
    if segment.hash is not None and head.hash != segment.hash:
        reason = f"row {head.sequence} has the hash {head.hash}, but {segment.hash} was stored for it"
        raise BrokenChain(head.sequence, reason)
    return head


def split_segment(segment: ChainSegment, rows: int) -> ChainSegment:
    """Return the first `rows` rows of a segment."""
    end = segment.start.sequence + rows
    return segment if end >= segment.end else ChainSegment(segment.start, end, None)


def _find_error(kind: ChainKind, values: Sequence[Any], predecessor: str) -> str | None:
    find_row_error, compute_hash = _RULES[kind]
    error = find_row_error(values)
    if error is not None:
        return error
    expected = compute_hash(values, predecessor)
    return None if values[-1] == expected else f"hash is {values[-1]}, must be {expected}"


def _find_movement_error(values: Sequence[Any]) -> str | None:
    version = CashRow._make(values).hash_version
    return None if version == CASH_HASH_VERSION else f"hash_version is {version}, must be {CASH_HASH_VERSION}"


def _compute_movement_hash(values: Sequence[Any], predecessor: str) -> str:
    return hash_cash(tuple(values[:-1]), predecessor)


_FindRowError = Callable[[Sequence[Any]], str | None]
_ComputeHash = Callable[[Sequence[Any], str], str]
_RULES: dict[ChainKind, tuple[_FindRowError, _ComputeHash]] = {
    ChainKind.AUDIT: (find_entry_error, compute_entry_hash),
    ChainKind.LEDGER: (find_row_problem, hash_covered_values),
    ChainKind.CASH: (_find_movement_error, _compute_movement_hash),
}
