"""The values of the stand-in: assets, orders, executions and quotes."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

ZERO = Decimal(0)
OPEN = frozenset(
    {"new", "partially_filled", "pending_new", "accepted", "held", "pending_cancel", "pending_replace"}
)


class AlpacaError(Exception):
    """A refusal in Alpaca's format: `{"code": …, "message": …}`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Asset(NamedTuple):
    """An instrument of the stand-in."""

    id: str
    symbol: str
    asset_class: str = "us_equity"
    exchange: str = "NASDAQ"
    is_fractionable: bool = True
    is_shortable: bool = True

    @property
    def is_crypto(self) -> bool:
        return self.asset_class == "crypto"


class Quote(NamedTuple):
    """The best bid and ask, with the quantities that are left at them."""

    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


@dataclass(eq=False)
class Order:
    """An order in Alpaca's words. `at` is the time of the last change."""

    id: str
    client_order_id: str
    asset: Asset
    side: str
    type: str
    time_in_force: str
    at: datetime
    created_at: datetime
    qty: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    hwm: Decimal | None = None
    extended_hours: bool = False
    status: str = "pending_new"
    filled_qty: Decimal = ZERO
    filled_value: Decimal = ZERO
    is_triggered: bool = False
    replaces: str | None = None
    replaced_by: str | None = None
    order_class: str = ""
    parent: "Order | None" = field(default=None, repr=False)  # the order in whose request a leg was sent
    legs: list["Order"] = field(default_factory=list)
    times: dict[str, datetime] = field(default_factory=dict)

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def leaves(self) -> Decimal:
        return (self.qty or ZERO) - self.filled_qty

    @property
    def group(self) -> list["Order"]:
        """The linked orders that are legs, or all if it is a pair."""
        primary = self.parent or self
        return [primary, *primary.legs] if primary.order_class == "oco" else list(primary.legs)

    @property
    def is_exit(self) -> bool:
        """Whether the order closes the position of its group."""
        return self in self.group


@dataclass
class Execution:
    """A fill. `cumulative` is the filled quantity of its order after it."""

    id: str
    order: Order
    qty: Decimal
    price: Decimal
    cumulative: Decimal
    leaves: Decimal
    at: datetime


@dataclass
class Position:
    """A signed quantity and its signed cost."""

    asset: Asset
    qty: Decimal = ZERO
    cost: Decimal = ZERO


class Update(NamedTuple):
    """An event of the stream. `data` is the JSON that is sent."""

    event: str
    data: dict[str, Any]
