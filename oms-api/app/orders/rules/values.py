"""Orders as plain values.

Amounts are decimals. Instants are canonical text (`timestamps.format_timestamp`), which sorts by time.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from app.brokers.rules.values import OrderType, TimeInForce
from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, PositionKey, SymbolProductKey
from app.money import ZERO
from app.timestamps import Timestamp

__all__ = [
    "EXPOSURE_STATUSES",
    "FINAL_STATUSES",
    "OPEN_STATUSES",
    "PENDING_STATUSES",
    "WORKING_STATUSES",
    "GroupKind",
    "Order",
    "OrderKey",
    "OrderType",
    "Role",
    "Status",
    "StopLoss",
    "TakeProfit",
    "Ticket",
    "TimeInForce",
    "replace_fields",
]


class Status(StrEnum):
    """The status of an order."""

    INITIALIZED = "INITIALIZED"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    HELD = "HELD"
    SUBMITTED = "SUBMITTED"
    ACCEPTED = "ACCEPTED"
    TRIGGERED = "TRIGGERED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_REPLACE = "PENDING_REPLACE"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REPLACED = "REPLACED"
    DENIED = "DENIED"
    REJECTED = "REJECTED"


class GroupKind(StrEnum):
    """The kind of a group of linked orders."""

    BRACKET = "BRACKET"  # entry, take-profit and stop-loss; exits grow with the entry's fills
    OCO = "OCO"  # a fill of one reduces the other
    OTO = "OTO"  # the second is sent when the first is filled


class Role(StrEnum):
    """The role of an order within its group."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    EITHER = "either"  # one of an OCO pair
    FOLLOWER = "follower"  # the second of an OTO pair
    CLOSING = "closing"  # closes a position or a part of it; its fills reduce the exits


class Ticket(NamedTuple):
    """A request for an order. Exactly one of `quantity` and `notional` is set; prices depend on the type."""

    symbol: str
    side: str
    type: OrderType
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    expires_at: Timestamp | None = None
    client_order_id: str | None = None
    product: str = ""
    extended_hours: bool = False
    reason: str | None = None
    strategy: str | None = None
    user_id: str | None = None
    take_profit: "TakeProfit | None" = None
    stop_loss: "StopLoss | None" = None
    confirm_repeat: bool = False


class TakeProfit(NamedTuple):
    """The take-profit of a bracket: a limit order."""

    limit_price: Decimal


class StopLoss(NamedTuple):
    """The stop-loss of a bracket: a stop order, or a stop-limit order if a limit is given."""

    stop_price: Decimal
    limit_price: Decimal | None = None


class OrderKey(NamedTuple):
    """An order of a tenant."""

    tenant_id: int
    order_id: str


class Order(NamedTuple):
    """An order with all columns of its row.

    `quantity` is the total of the replacement chain. `filled_quantity` and `filled_value` include the
    predecessors' fills (`carried_…`). `ends_at` is the expiry of DAY and GTD orders. `denial` is JSON text.
    `source` is the name of the API key that placed the order, `actor` the person behind it. `cost_schedule`
    defines the charges of its fills. `event_count` is the number of its history rows. Fields with a default
    change during its life.
    """

    tenant_id: int
    id: str
    portfolio_id: int
    client_order_id: str
    symbol: str
    product: str
    side: str
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    expires_at: Timestamp | None
    ends_at: Timestamp | None
    extended_hours: bool
    reason: str | None
    strategy: str | None
    user_id: str | None
    source: str
    actor: str | None
    broker: str
    status: Status
    created_at: Timestamp
    updated_at: Timestamp
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    is_triggered: bool = False
    trail_level: Decimal | None = None
    carried_quantity: Decimal = ZERO
    carried_value: Decimal = ZERO
    replaces: str | None = None
    replaced_by: str | None = None
    parent_id: str | None = None
    group_id: str | None = None
    group_kind: GroupKind | None = None
    role: Role | None = None
    denial: str | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    broker_order_id: str | None = None
    event_count: int = 0
    accepted_at: Timestamp | None = None
    cost_schedule: str = "none"

    @property
    def key(self) -> OrderKey:
        """The key of the order."""
        return OrderKey(self.tenant_id, self.id)

    @property
    def instrument_key(self) -> InstrumentKey:
        """The key of its instrument."""
        return InstrumentKey(self.tenant_id, self.symbol)

    @property
    def portfolio_key(self) -> PortfolioKey:
        """The key of its portfolio."""
        return PortfolioKey(self.tenant_id, self.portfolio_id)

    @property
    def position_key(self) -> PositionKey:
        """The key of the position that it changes."""
        return PositionKey(self.tenant_id, self.portfolio_id, self.symbol, self.product)

    @property
    def symbol_product_key(self) -> SymbolProductKey:
        """The key of that position within the portfolio."""
        return SymbolProductKey(self.symbol, self.product)

    @property
    def placed_by(self) -> str:
        """The person who placed the order, else the API key."""
        return self.actor or self.source

    @property
    def leaves_quantity(self) -> Decimal:
        """The quantity that may still fill: quantity - filled_quantity while open, else zero."""
        if self.status in FINAL_STATUSES:
            return ZERO
        return max(self.quantity - self.filled_quantity, ZERO)


_INDEXES = {name: index for index, name in enumerate(Order._fields)}


def replace_fields(order: Order, **fields: Any) -> Order:
    """Return the order with changed fields. This takes a fifth of the time of `_replace`."""
    values: list[Any] = list(order)
    for name, value in fields.items():
        values[_INDEXES[name]] = value
    return tuple.__new__(Order, values)


FINAL_STATUSES = frozenset(
    {
        Status.FILLED,
        Status.CANCELED,
        Status.EXPIRED,
        Status.REPLACED,
        Status.DENIED,
        Status.REJECTED,
    }
)
OPEN_STATUSES = frozenset(Status) - FINAL_STATUSES
# Statuses whose cancel or replace request the broker has not responded to yet.
PENDING_STATUSES = frozenset({Status.PENDING_CANCEL, Status.PENDING_REPLACE})
# Statuses at the market, which can match. An order with a pending cancel can still fill.
WORKING_STATUSES = frozenset(
    {
        Status.SUBMITTED,
        Status.ACCEPTED,
        Status.TRIGGERED,
        Status.PARTIALLY_FILLED,
        Status.PENDING_CANCEL,
        Status.PENDING_REPLACE,
    }
)
# Statuses that count toward exposure and buying power.
EXPOSURE_STATUSES = WORKING_STATUSES | {Status.AWAITING_APPROVAL}
