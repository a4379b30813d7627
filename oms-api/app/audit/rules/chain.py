"""The canonical form of audit rows, and the hashes that chain them per tenant."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from app.timestamps import Timestamp

HASH_VERSION = 1
GENESIS = "0" * 64


class EntryContent(NamedTuple):
    """The content of a row in canonical form, without its position in the chain.

    `at` is RFC 3339 text in UTC with 6 decimals (`timestamps.format_timestamp`). `before` and `after` are
    canonical JSON text. `count` is the number of equal actions that were combined.
    """

    at: Timestamp
    actor: str
    via: str
    action: str
    target: str
    address: str | None
    request_id: str | None
    before: str | None
    after: str | None
    count: int  # type: ignore[assignment]  # the column's name; tuple.count is not needed here


class ChainedEntry(NamedTuple):
    """A row of the audit log as it is stored and hashed. See `EntryContent` for the format.

    The order of the fields is part of hash version 1.
    """

    tenant_id: int
    sequence: int
    at: Timestamp
    actor: str
    via: str
    action: str
    target: str
    address: str | None
    request_id: str | None
    before: str | None
    after: str | None
    count: int  # type: ignore[assignment]  # the column's name; tuple.count is not needed here
    hash_version: int
    hash: str


class Head(NamedTuple):
    """The end of a chain: the sequence number and hash of its last row."""

    sequence: int
    hash: str


START = Head(0, GENESIS)
COLUMNS = ChainedEntry._fields


def compute_hash(fields: Sequence[str | int | None], predecessor: str) -> str:
    """Return the hash of a row.

    It is the SHA-256 of its predecessor's hash and, as a JSON array, all fields before `hash`.
    """
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def build_chained_entry(head: Head, tenant_id: int, content: EntryContent) -> ChainedEntry:
    """Return the row that follows `head`."""
    fields = (tenant_id, head.sequence + 1, *content, HASH_VERSION)
    return ChainedEntry(*fields, compute_hash(fields, head.hash))
