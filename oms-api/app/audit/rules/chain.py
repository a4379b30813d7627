"""The rows of the trail in their canonical form, and the hashes that chain them, tenant by tenant."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

HASH_VERSION = 1
GENESIS = "0" * 64


class Told(NamedTuple):
    """What a row says, in canonical form: all of it but its place in the chain.

    `at` is RFC 3339 text in UTC with 6 decimals (`clock.iso`), `before` and `after` are canonical JSON text,
    `count` is how many acts alike were put together.
    """

    at: str
    actor: str
    via: str
    action: str
    target: str
    address: str | None
    request_id: str | None
    before: str | None
    after: str | None
    count: int  # type: ignore[assignment]  # the column's name; nobody needs tuple.count here


class ChainedEntry(NamedTuple):
    """A row of the trail as both databases take it and as it is hashed; see `Told` for the form.

    The order of the fields is part of hash version 1.
    """

    tenant_id: int
    sequence: int
    at: str
    actor: str
    via: str
    action: str
    target: str
    address: str | None
    request_id: str | None
    before: str | None
    after: str | None
    count: int  # type: ignore[assignment]  # the column's name; nobody needs tuple.count here
    hash_version: int
    hash: str


class Head(NamedTuple):
    """Where a chain ends: the sequence and hash of its last row."""

    sequence: int
    hash: str


START = Head(0, GENESIS)
COLUMNS = ChainedEntry._fields


def hash_of(fields: Sequence[str | int | None], predecessor: str) -> str:
    """Return the hash of a row: SHA-256 of its predecessor's hash and, as a JSON array, all fields before
    `hash`.
    """
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def follow_on(head: Head, tenant_id: int, told: Told) -> ChainedEntry:
    """Return the row that stands next after `head`."""
    fields = (tenant_id, head.sequence + 1, *told, HASH_VERSION)
    return ChainedEntry(*fields, hash_of(fields, head.hash))
