"""Offline verification of an export file, optionally against a file of detached heads."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import BinaryIO, NamedTuple

import orjson

from app.audit.rules.chain import Head
from app.audit.rules.export_verification import (
    MAX_LINE_BYTES,
    ExportChain,
    ExportFinding,
    ExportFormat,
    ExportVerifier,
    Heads,
)


class InvalidHeads(Exception):
    """Raised when the file does not contain heads."""


class ExportResult(NamedTuple):
    """The result of reading an export, and the first error, if any."""

    verifier: ExportVerifier
    finding: ExportFinding | None


def verify_export(export: BinaryIO, formats: Sequence[ExportFormat], heads: Heads) -> ExportResult:
    """Read the export up to the first invalid line, in bounded memory."""
    verifier = ExportVerifier(formats, heads)
    for line in _read_lines(export):
        finding = verifier.verify_line(line)
        if finding:
            return ExportResult(verifier, finding)
    return ExportResult(verifier, verifier.verify_end())


def read_heads(file: BinaryIO) -> Heads:
    """Parse a file of detached heads, one per line. Raises InvalidHeads."""
    heads = dict(map(_parse_head, _read_lines(file)))
    if not heads:
        raise InvalidHeads("there is no head in it")
    return heads


def _parse_head(line: bytes) -> tuple[ExportChain, Head]:
    try:
        expected_head = orjson.loads(line)
        chain = ExportChain(expected_head["tenant"], expected_head.get("portfolio", 0))
        head = Head(expected_head["sequence"], expected_head["hash"])
    except (ValueError, TypeError, KeyError, AttributeError):
        shape = '{"tenant": …, "sequence": …, "hash": …, "at": …}'
        raise InvalidHeads(f"each line must be {shape}") from None
    if not all(type(number) is int for number in (*chain, head.sequence)):
        raise InvalidHeads("tenant, portfolio and sequence of a head are whole numbers")
    return chain, head


def _read_lines(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.readline, MAX_LINE_BYTES), b"")
