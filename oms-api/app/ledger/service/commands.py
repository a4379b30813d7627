"""Commands of the ledger writer and their outcomes."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import Side
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.tickets import TradeValue
from app.timestamps import Timestamp


class CommandOrigin(NamedTuple):
    """The caller and the time of a command, as the ledger and the orders record them.

    - `source`: the name of the API key, or of the broker or background job.
    - `user_label`: any text that the request gave as `user_id`.
    - `at`: when the command was created.
    - `request_hash`: distinguishes two bodies under one idempotency key.
    - `actor`: the person behind the request, or the broker whose report caused it.
    - `portfolios`: the name keys of the portfolios that the caller may see, None for all.
    """

    tenant_id: int
    source: str
    user_label: str | None
    at: datetime
    idempotency_key: str | None
    request_hash: str | None
    actor: str | None = None
    request_id: str | None = None
    portfolios: frozenset[str] | None = None


class RecordTrade(NamedTuple):
    """Record an execution, and create its portfolio if needed. `portfolio_name_key` is the key of its name.

    `executed_at` is canonical text, None for the time of recording. Only with a `backdated_reason` can it be
    before that of the trades recorded so far. `field_prefix` precedes the names of invalid fields. `charges`
    are in the portfolio's currency, None if its cost schedule computes them.
    """

    origin: CommandOrigin
    symbol: str
    product: str
    side: Side
    trade: TradeValue
    portfolio_name: str
    portfolio_name_key: str
    note: str | None
    charges: Decimal | None = None
    kind: str = "trade"
    executed_at: Timestamp | None = None
    backdated_reason: str | None = None
    field_prefix: str = ""


class ReverseTrade(NamedTuple):
    """Reverse a trade by a row that stores the difference."""

    origin: CommandOrigin
    trade_id: str
    reason: str
    kind: str = "reversal"


LedgerCommand = RecordTrade | ReverseTrade


def get_lock_group(command: LedgerCommand) -> tuple[int, str]:
    """Return a key that commands share if they lock the same portfolio.

    The portfolio of a reversal is not known before its trade is read.
    """
    key = "" if isinstance(command, ReverseTrade) else command.portfolio_name_key
    return (command.origin.tenant_id, key)


class RecordedTrade(NamedTuple):
    """A recorded ledger row with its portfolio's name. `is_replayed`: an earlier request recorded it."""

    row: TradeRow
    portfolio_name: str
    is_replayed: bool = False
