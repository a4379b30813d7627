"""The rows of the ledger in their canonical form, and the hashes that chain them, portfolio by portfolio."""

import hashlib
from typing import NamedTuple

import orjson

HASH_VERSION = 2
GENESIS = "0" * 64


class TradeRow(NamedTuple):
    """A row of the ledger as both databases take it and as it is hashed.

    Amounts are text with 8 decimals (`money.fixed`), instants RFC 3339 text in UTC with 6 (`clock.iso`),
    hashes hexadecimal. The order of the fields is part of the hash versions; version 1 knew neither
    `actor` nor `request_id`.
    """

    tenant_id: int
    trade_id: str
    portfolio_id: int
    sequence: int
    kind: str
    symbol: str
    product: str
    side: str
    quantity: str
    price: str
    gmv: str
    charges: str
    realized_pnl: str
    user_id: str | None
    source: str
    order_id: str | None
    note: str | None
    idempotency_key: str | None
    request_hash: str | None
    reverses: str | None
    executed_at: str
    created_at: str
    quantity_delta: str
    cost_delta: str
    cash_delta: str
    position_quantity: str
    position_cost: str
    position_realized_pnl: str
    trades_after: int
    buys_after: int
    portfolio_realized_pnl: str
    cash_after: str
    actor: str | None
    request_id: str | None
    hash_version: int
    hash: str


COLUMNS = TradeRow._fields
_LATER = slice(COLUMNS.index("actor"), COLUMNS.index("request_id") + 1)


def hash_of(fields: tuple[str | int | None, ...], predecessor: str) -> str:
    """Return the hash of a row: SHA-256 of its predecessor's hash and, as a JSON array, all fields before
    `hash` that its version knows.
    """
    if fields[-1] == 1:
        fields = fields[: _LATER.start] + fields[_LATER.stop :]
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def fingerprint(*facts: str | None) -> str:
    """Return the hash by which two requests under one idempotency key are told apart, after normalising."""
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()
