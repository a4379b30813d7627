"""What the writer is asked to do, and what it answers."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.tickets import Valued


class Origin(NamedTuple):
    """Who asks, and under which idempotency key; `request_hash` tells two bodies under one key apart.

    `source` is the key's name, `actor` the person behind it, `user_id` a label of the request's own.
    `portfolios` are the name keys that the caller is narrowed to, None for all.
    """

    tenant_id: int
    source: str
    user_id: str | None
    at: datetime
    idempotency_key: str | None
    request_hash: str | None
    actor: str | None = None
    request_id: str | None = None
    portfolios: frozenset[str] | None = None


class RecordTrade(NamedTuple):
    """Book an execution that happened; the portfolio is opened if need be. `portfolio_key` is its name's
    key. `executed_at` is canonical text, None where it is the time of recording; only with a
    `backdated_reason` may it be before that of the trades booked so far. `field_prefix` goes before the names
    of bad fields. `charges` are in the portfolio's currency; None: as its cost schedule says.
    """

    origin: Origin
    symbol: str
    product: str
    side: Side
    trade: Valued
    portfolio_name: str
    portfolio_key: str
    note: str | None
    charges: Decimal | None = None
    kind: str = "trade"
    executed_at: str | None = None
    backdated_reason: str | None = None
    field_prefix: str = ""


class ReverseTrade(NamedTuple):
    """Undo a trade by a row that stores the difference."""

    origin: Origin
    trade_id: str
    reason: str
    kind: str = "reversal"


Command = RecordTrade | ReverseTrade


def get_lock_group(command: Command) -> tuple[int, str]:
    """Return what tells which commands lock the same portfolio; a reversal's is not known before it is
    looked up.
    """
    key = "" if isinstance(command, ReverseTrade) else command.portfolio_key
    return (command.origin.tenant_id, key)


class Recorded(NamedTuple):
    """A row of the ledger with its portfolio's name; `replayed` when the key's earlier outcome is told
    again.
    """

    row: TradeRow
    portfolio_name: str
    replayed: bool = False
