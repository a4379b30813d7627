"""Signals, the rules of strategies, and outcomes as plain values."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple


class SizeKind(StrEnum):
    """The kind of size of a signal.

    QTY is in units, NOTIONAL in the instrument's currency, PERCENT_OF_EQUITY in percent of the portfolio's
    equity. TARGET_POSITION is the signed position to reach. CLOSE closes the position and has no value.
    """

    QTY = "qty"
    NOTIONAL = "notional"
    PERCENT_OF_EQUITY = "percent_of_equity"
    TARGET_POSITION = "target_position"
    CLOSE = "close"


SIDED_SIZE_KINDS = frozenset(
    {SizeKind.QTY, SizeKind.NOTIONAL, SizeKind.PERCENT_OF_EQUITY}
)  # they need a side


class SignalMode(StrEnum):
    """The handling of a strategy's signals.

    TRADE: they become orders. APPROVE: their orders await approval. RECORD: they are only stored.
    """

    TRADE = "trade"
    APPROVE = "approve"
    RECORD = "record"


class SignalStatus(StrEnum):
    """The status of a signal. All except RECEIVED are final."""

    RECEIVED = "received"
    FILLED = "filled"
    ORDERED = "ordered"
    AWAITING_APPROVAL = "awaiting_approval"
    RECORDED = "recorded"
    EXPIRED = "expired"
    REJECTED = "rejected"


class SignalChannel(StrEnum):
    """The channel on which a signal arrived."""

    REST = "rest"
    HOOK = "hook"
    REDIS = "redis"


class SignalSize(NamedTuple):
    """The size of a signal. `value` is None for CLOSE."""

    kind: SizeKind
    value: Decimal | None


class SignalRequest(NamedTuple):
    """A signal as its sender wrote it. `price` is the limit price; without it the order is a market order.

    `request_hash` distinguishes two signals with one id.
    """

    id: str
    channel: SignalChannel
    symbol: str
    side: str | None
    size: SignalSize | None
    price: Decimal | None
    reason: str | None
    strategy: str | None
    portfolio: str | None
    expires_at: datetime | None
    request_hash: str


class StrategyRules(NamedTuple):
    """The rules that turn the signals of a strategy into orders.

    `size` applies to signals that have none. `symbols` are the allowed ones; None allows all. The signals of
    a strategy that was paused or stopped are refused.
    """

    tenant_id: int
    name: str
    portfolio_name: str | None
    mode: SignalMode
    size: SignalSize | None
    symbols: tuple[str, ...] | None
    updated_by: str
    updated_at: datetime
    is_stopped: bool = False


class Signal(NamedTuple):
    """A row of `signals`.

    `number` is given by the database, 0 before. `source` is the name of the key, `person` who is behind it.
    `order_side`, `quantity` and `notional` belong to its order. `order_ids` are separated by spaces.
    """

    number: int
    tenant_id: int
    id: str
    channel: SignalChannel
    source: str
    person: str | None
    strategy: str | None
    portfolio_id: int
    symbol: str
    side: str | None
    size_kind: SizeKind
    size_value: Decimal | None
    price: Decimal | None
    reason: str | None
    mode: SignalMode
    expires_at: datetime | None
    request_hash: str
    received_at: datetime
    order_side: str | None = None
    quantity: Decimal | None = None
    notional: Decimal | None = None
    status: SignalStatus = SignalStatus.RECEIVED
    outcome_reason: str | None = None
    order_ids: str = ""
    completed_at: datetime | None = None
    latency_ms: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the signal was acted on."""
        return self.status is not SignalStatus.RECEIVED


class SignalOutcome(NamedTuple):
    """The outcome of a signal: its status, the reason, and the ids of its orders."""

    status: SignalStatus
    reason: str | None = None
    order_ids: tuple[str, ...] = ()


class HookTerms(NamedTuple):
    """The parameters of a new hook."""

    name: str
    strategy: str | None
    template: str | None
    paths: dict[str, str] | None
    networks: tuple[str, ...] | None
    max_age_seconds: int
