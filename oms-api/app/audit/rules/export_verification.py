"""Verifies an export: lines of JSON chained by hashes, compared with detached heads if there are any."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from typing_extensions import override

from app.audit.rules.chain import COLUMNS, HASH_VERSION, START, ChainedEntry, Head, compute_hash

MAX_LINE_BYTES = 1_000_000  # in bytes
_INTEGER_FIELDS = ("tenant_id", "portfolio_id", "sequence")


class ExportFormat(NamedTuple):
    """The format of the lines of one kind of export.

    `find_error` returns why a line's values are invalid, or None. `compute_hash` returns the hash that the
    values must have after the predecessor's hash.
    """

    name: str
    columns: tuple[str, ...]
    find_error: Callable[[Sequence[Any]], str | None]
    compute_hash: Callable[[Sequence[Any], str], str]


class ExportChain(NamedTuple):
    """A tenant's audit log (portfolio 0), or the ledger of one of its portfolios."""

    tenant: int
    portfolio: int = 0

    @override
    def __str__(self) -> str:
        return f"tenant {self.tenant}" + (f", portfolio {self.portfolio}" if self.portfolio else "")


class ExportFinding(NamedTuple):
    """An error of a line. Lines are counted from 1."""

    line: int
    problem: str


Heads = Mapping[ExportChain, Head]


def find_entry_error(values: Sequence[Any]) -> str | None:
    """Return why the values are not an entry of the audit log, or None."""
    version = ChainedEntry._make(values).hash_version
    return None if version == HASH_VERSION else f"hash_version is {version}, must be {HASH_VERSION}"


def compute_entry_hash(values: Sequence[Any], predecessor: str) -> str:
    """Return the hash that an entry with these values must have."""
    return compute_hash(values[:-1], predecessor)


AUDIT_LOG = ExportFormat("entries of the audit log", COLUMNS, find_entry_error, compute_entry_hash)


def serialize_line(columns: Sequence[str], row: Sequence[Any]) -> bytes:
    """Serialize a row as a line of an export."""
    return orjson.dumps(dict(zip(columns, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class ExportVerifier:
    """Verifies an export line by line, with `verify_line`, then `verify_end`, up to the first finding.

    `uncovered_lines` counts the lines that no head covers: newer ones, and those of chains without a head.
    """

    formats: Sequence[ExportFormat]
    heads: Heads = field(default_factory=dict)
    line_format: ExportFormat | None = None
    lines: int = 0
    chains: int = 0
    chain: ExportChain | None = None
    head: Head = START
    verified_heads: set[ExportChain] = field(default_factory=set)
    uncovered_lines: int = 0

    def verify_line(self, line: bytes) -> ExportFinding | None:
        """Return the error of the next line, or None."""
        self.lines += 1
        try:
            line_format, row = self._parse_line(line)
            self._check_position(row)
            self._check_hash(line_format, tuple(row.values()))
        except _InvalidLine as error:
            return ExportFinding(self.lines, str(error))
        return None

    def verify_end(self) -> ExportFinding | None:
        """Return a finding if entries are missing after the last line, else None."""
        try:
            for chain in self.heads:
                self._require_head(chain)
        except _InvalidLine as error:
            return ExportFinding(self.lines + 1, str(error))
        return None

    def _parse_line(self, line: bytes) -> tuple[ExportFormat, dict[str, Any]]:
        if not line.endswith(b"\n"):
            raise _InvalidLine("the last line is incomplete: the file was cut, or it is not an export")
        row = _parse_object(line)
        line_format = self.line_format or next(
            (line_format for line_format in self.formats if line_format.columns == tuple(row)), None
        )
        if (
            line_format is None
            or line_format.columns != tuple(row)
            or serialize_line(line_format.columns, tuple(row.values())) != line
        ):
            raise _InvalidLine(
                f"this is not how an export writes {line_format.name if line_format else 'a line'}"
            )
        self.line_format = line_format
        return line_format, row

    def _check_position(self, row: dict[str, Any]) -> None:
        for name in _INTEGER_FIELDS:
            if type(row.get(name, 0)) is not int:
                raise _InvalidLine(f"{name} is {row[name]!r}, must be a whole number")
        chain = ExportChain(row["tenant_id"], row.get("portfolio_id", 0))
        if chain != self.chain:
            self._start_chain(chain)
        if row["sequence"] != self.head.sequence + 1:
            raise _InvalidLine(f"sequence is {row['sequence']}, must be {self.head.sequence + 1} ({chain})")

    def _start_chain(self, chain: ExportChain) -> None:
        if self.chain is not None:
            if chain.tenant != self.chain.tenant or chain < self.chain:
                raise _InvalidLine(f"{chain} cannot follow on {self.chain}")
            self._require_head(self.chain)
        self.chain, self.head = chain, START
        self.chains += 1

    def _check_hash(self, line_format: ExportFormat, row: tuple[Any, ...]) -> None:
        entry_error = line_format.find_error(row)
        if entry_error:
            raise _InvalidLine(entry_error)
        expected, stored = line_format.compute_hash(row, self.head.hash), row[-1]
        if stored != expected:
            possible_cause = "this line, or one before it, was changed or is missing"
            raise _InvalidLine(f"hash is {stored}, must be {expected}: {possible_cause}")
        self.head = Head(self.head.sequence + 1, expected)
        self._compare_with_head()

    def _compare_with_head(self) -> None:
        """Compare the last line with the detached head of its chain."""
        assert self.chain is not None, "a line belongs to a chain"  # noqa: S101  # for the type checker
        expected_head = self.heads.get(self.chain, START)
        if expected_head.sequence == self.head.sequence:
            if expected_head.hash != self.head.hash:
                mismatch = f"hash is {self.head.hash}, the head says {expected_head.hash}"
                raise _InvalidLine(f"{mismatch}: the history was rewritten")
            self.verified_heads.add(self.chain)
        self.uncovered_lines += self.head.sequence > expected_head.sequence

    def _require_head(self, chain: ExportChain) -> None:
        expected_head = self.heads.get(chain, START)
        if expected_head.sequence and chain not in self.verified_heads:
            reached = self.head.sequence if chain == self.chain else 0
            raise _InvalidLine(
                f"sequence {reached + 1} is missing here: the head of {chain} is at {expected_head.sequence}"
            )


class _InvalidLine(Exception):
    """Raised when a line is invalid."""


def _parse_object(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _InvalidLine("this is not a JSON object")
    return value
