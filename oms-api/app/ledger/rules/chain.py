"""Define the canonical form of ledger rows and the hash chain of each portfolio."""

import hashlib
from typing import NamedTuple

import orjson

from app.ledger.rules.keys import LedgerRowKey, PortfolioKey, PositionKey, SymbolProductKey, TradeKey
from app.timestamps import Timestamp

HASH_VERSION = 4
GENESIS = "0" * 64


class TradeRow(NamedTuple):
    """A row of the ledger in the form that is stored and hashed.

    Amounts are text with 8 decimals (`money.format_fixed`), instants RFC 3339 text in UTC with 6 decimals
    (`timestamps.format_timestamp`), hashes hexadecimal. `price` and `gmv` are in the instrument's currency,
    the other amounts in the portfolio's. If the two differ, `currency` is the instrument's, `fx_rate` the
    price of one unit of it in the portfolio's currency, and `local_cost_delta` and `position_local_cost` are
    in it; otherwise all four are null. `backdated_reason` is why a trade was recorded with an execution time
    before the previous trade's. The order of the fields is part of the hash. Version 3 did not have
    `backdated_reason`, version 2 also not the four fields before it, version 1 also neither `actor` nor
    `request_id`.
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
    executed_at: Timestamp
    created_at: Timestamp
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

    @property
    def portfolio_key(self) -> PortfolioKey:
        """The key of its portfolio."""
        return PortfolioKey(self.tenant_id, self.portfolio_id)

    @property
    def trade_key(self) -> TradeKey:
        """Its key by trade id."""
        return TradeKey(self.tenant_id, self.trade_id)

    @property
    def ledger_key(self) -> LedgerRowKey:
        """Its key by sequence number."""
        return LedgerRowKey(self.tenant_id, self.portfolio_id, self.sequence)

    @property
    def position_key(self) -> PositionKey:
        """The key of the position that it changes."""
        return PositionKey(self.tenant_id, self.portfolio_id, self.symbol, self.product)

    @property
    def symbol_product_key(self) -> SymbolProductKey:
        """The key of that position within the portfolio."""
        return SymbolProductKey(self.symbol, self.product)


COLUMNS = TradeRow._fields
_LAST = COLUMNS.index("hash_version")
# By hash version: the columns added later. Its hash does not cover them, and they must be null.
LATER_COLUMNS: dict[int, tuple[str, ...]] = {
    1: COLUMNS[COLUMNS.index("actor") : _LAST],
    2: COLUMNS[COLUMNS.index("currency") : _LAST],
    3: COLUMNS[COLUMNS.index("backdated_reason") : _LAST],
}
_KNOWN = {version: COLUMNS.index(names[0]) for version, names in LATER_COLUMNS.items()}


def compute_row_hash(fields: tuple[str | int | None, ...], predecessor: str) -> str:
    """Return the hash of a row: SHA-256 of the predecessor's hash and the JSON array of the fields.

    The fields are those before `hash` that the row's version has.
    """
    if fields[-1] != HASH_VERSION and fields[-1] in _KNOWN:
        fields = fields[: _KNOWN[fields[-1]]] + fields[_LAST:]
    return hashlib.sha256(predecessor.encode() + orjson.dumps(fields)).hexdigest()


def find_uncovered_column(row: TradeRow) -> str | None:
    """Return the name of a column that is set although the row's hash does not cover it, else None."""
    names = LATER_COLUMNS.get(row.hash_version, ())
    return next((name for name in names if getattr(row, name) is not None), None)


def hash_request(*fields: str | None) -> str:
    """Return the hash of a normalized request. It distinguishes two requests with one idempotency key."""
    return hashlib.sha256(orjson.dumps(fields)).hexdigest()
