"""The rows of the ledger in their canonical form, and the hashes that chain them, portfolio by portfolio."""

import hashlib
from typing import NamedTuple

import orjson

HASH_VERSION = 4
GENESIS = "0" * 64


class TradeRow(NamedTuple):
    """A row of the ledger as both databases take it and as it is hashed.

    Amounts are text with 8 decimals (`money.fixed`), instants RFC 3339 text in UTC with 6 (`clock.iso`),
    hashes hexadecimal. `price` and `gmv` are in the instrument's currency, the amounts that follow in the
    portfolio's. Where the instrument's is another one, `currency` names it, `fx_rate` is the portfolio's
    currency per unit of it, and `local_cost_delta` and `position_local_cost` are in it; else all four are
    null. `backdated_reason` is why a trade was reported with an execution time before the previous trade's.
    The order of the fields is part of the hash versions: version 3 did not know `backdated_reason`, version 2
    none of the four before it, version 1 neither `actor` nor `request_id`.
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
    currency: str | None
    fx_rate: str | None
    local_cost_delta: str | None
    position_local_cost: str | None
    backdated_reason: str | None
    hash_version: int
    hash: str


COLUMNS = TradeRow._fields
_LAST = COLUMNS.index("hash_version")
# By version: the columns that came later. Its hash does not cover them, and they are null in its rows.
LATER: dict[int, tuple[str, ...]] = {
    1: COLUMNS[COLUMNS.index("actor") : _LAST],
    2: COLUMNS[COLUMNS.index("currency") : _LAST],
    3: COLUMNS[COLUMNS.index("backdated_reason") : _LAST],
}
_KNOWN = {version: COLUMNS.index(names[0]) for version, names in LATER.items()}


def hash_of(fields: tuple[str | int | None, ...], predecessor: str) -> str:
    """Return the hash of a row: SHA-256 of its predecessor's hash and, as a JSON array, all fields before
    `hash` that its version knows.
    """
    if fields[-1] != HASH_VERSION and fields[-1] in _KNOWN:
        fields = fields[: _KNOWN[fields[-1]]] + fields[_LAST:]
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def uncovered(row: TradeRow) -> str | None:
    """Return the name of a column that the row's hash does not cover, though it says something."""
    names = LATER.get(row.hash_version, ())
    return next((name for name in names if getattr(row, name) is not None), None)


def fingerprint(*facts: str | None) -> str:
    """Return the hash by which two requests under one idempotency key are told apart, after normalising."""
    return hashlib.sha256(orjson.dumps(facts)).hexdigest()
