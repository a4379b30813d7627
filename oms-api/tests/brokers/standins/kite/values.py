"""The values of the stand-in and their JSON: instruments, orders, trades and quotes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple

ZERO = Decimal(0)
INDIA = timezone(timedelta(hours=5, minutes=30))
ENDS = frozenset({"COMPLETE", "CANCELLED", "REJECTED"})


class KiteError(Exception):
    """A refusal in Kite's format: `{"status": "error", "message": …, "error_type": …}`."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class Listing(NamedTuple):
    """An instrument of the dump."""

    token: int
    symbol: str
    name: str
    exchange: str = "NSE"
    tick: str = "0.05"
    lot: int = 1
    kind: str = "EQ"


class Quote(NamedTuple):
    """The best bid and ask, with the quantities that are left at them."""

    bid: Decimal
    ask: Decimal
    bid_size: Decimal
    ask_size: Decimal


@dataclass
class Order:
    """An order in Kite's words. `at` is the time of the last change."""

    order_id: str
    tag: str | None
    listing: Listing
    side: str
    kind: str
    product: str
    validity: str
    quantity: Decimal
    created_at: datetime
    at: datetime
    price: Decimal = ZERO
    trigger_price: Decimal = ZERO
    market_protection: str = "0"
    status: str = "PUT ORDER REQ RECEIVED"
    reason: str | None = None
    filled: Decimal = ZERO
    value: Decimal = ZERO
    is_triggered: bool = False

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1

    @property
    def is_open(self) -> bool:
        return self.status not in ENDS

    @property
    def leaves(self) -> Decimal:
        return self.quantity - self.filled

    def serialize(self) -> dict[str, Any]:
        """Return the order as Kite's JSON, in which amounts are numbers."""
        average = self.value / self.filled if self.filled else ZERO
        return {
            "placed_by": "PAPER1",
            "order_id": self.order_id,
            "exchange_order_id": f"1{self.order_id}",
            "parent_order_id": None,
            "status": self.status,
            "status_message": self.reason,
            "status_message_raw": None,
            "order_timestamp": format_time(self.created_at),
            "exchange_update_timestamp": format_time(self.at),
            "exchange_timestamp": format_time(self.at),
            "variety": "regular",
            "modified": False,
            "exchange": self.listing.exchange,
            "tradingsymbol": self.listing.symbol,
            "instrument_token": self.listing.token,
            "order_type": self.kind,
            "transaction_type": self.side,
            "validity": self.validity,
            "product": self.product,
            "quantity": int(self.quantity),
            "disclosed_quantity": 0,
            "price": number(self.price),
            "trigger_price": number(self.trigger_price),
            "average_price": number(average),
            "filled_quantity": int(self.filled),
            "pending_quantity": int(self.leaves) if self.is_open else 0,
            "cancelled_quantity": int(self.leaves) if self.status == "CANCELLED" else 0,
            "market_protection": int(self.market_protection),
            "meta": {},
            "tag": self.tag,
            "guid": "01",
        }


class Trade(NamedTuple):
    """A fill."""

    trade_id: str
    order: Order
    quantity: Decimal
    price: Decimal
    at: datetime

    def serialize(self) -> dict[str, Any]:
        order = self.order
        return {
            "trade_id": self.trade_id,
            "order_id": order.order_id,
            "exchange": order.listing.exchange,
            "tradingsymbol": order.listing.symbol,
            "instrument_token": order.listing.token,
            "product": order.product,
            "average_price": number(self.price),
            "quantity": int(self.quantity),
            "exchange_order_id": f"1{order.order_id}",
            "transaction_type": order.side,
            "fill_timestamp": format_time(self.at),
            "order_timestamp": format_time(order.created_at)[11:],
            "exchange_timestamp": format_time(self.at),
        }


@dataclass
class Position:
    """The day's trades in a symbol and product."""

    listing: Listing
    product: str
    quantity: Decimal = ZERO
    value: Decimal = ZERO

    def serialize(self) -> dict[str, Any]:
        average = self.value / self.quantity if self.quantity else ZERO
        return {
            "tradingsymbol": self.listing.symbol,
            "exchange": self.listing.exchange,
            "instrument_token": self.listing.token,
            "product": self.product,
            "quantity": int(self.quantity),
            "overnight_quantity": 0,
            "multiplier": 1,
            "average_price": number(average),
            "value": number(-self.value),
        }


@dataclass
class Holding:
    """Shares of earlier days."""

    listing: Listing
    quantity: Decimal
    average_price: Decimal
    t1_quantity: Decimal = field(default=ZERO)

    def serialize(self) -> dict[str, Any]:
        return {
            "tradingsymbol": self.listing.symbol,
            "exchange": self.listing.exchange,
            "instrument_token": self.listing.token,
            "product": "CNC",
            "quantity": int(self.quantity),
            "t1_quantity": int(self.t1_quantity),
            "used_quantity": 0,
            "opening_quantity": int(self.quantity + self.t1_quantity),
            "average_price": number(self.average_price),
        }


def number(amount: Decimal) -> float | int:
    """Return an amount as a JSON number, as Kite writes it."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def format_time(at: datetime) -> str:
    return at.astimezone(INDIA).strftime("%Y-%m-%d %H:%M:%S")


def now() -> datetime:
    return datetime.now(UTC)
