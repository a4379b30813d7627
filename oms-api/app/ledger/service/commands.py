"""What the writer is asked to do, and what it answers."""

from dataclasses import dataclass
from datetime import datetime

from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.tickets import Valued


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, and under which idempotency key; `request_hash` tells two bodies under one key apart."""

    tenant_id: int
    source: str
    user_id: str | None
    at: datetime
    idempotency_key: str | None
    request_hash: str | None


@dataclass(frozen=True, slots=True)
class RecordTrade:
    """Book an execution that happened; the portfolio is made if need be. `portfolio_key` is its name's
    key.
    """

    origin: Origin
    symbol: str
    product: str
    side: Side
    trade: Valued
    portfolio_name: str
    portfolio_key: str
    note: str | None
    kind: str = "trade"


@dataclass(frozen=True, slots=True)
class ReverseTrade:
    """Undo a trade by a row that stores the difference."""

    origin: Origin
    trade_id: str
    reason: str
    kind: str = "reversal"


Command = RecordTrade | ReverseTrade


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the ledger with its portfolio's name; `replayed` when the key's earlier outcome is told
    again.
    """

    row: TradeRow
    portfolio_name: str
    replayed: bool = False
