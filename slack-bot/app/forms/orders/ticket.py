"""Drafts (entries of the order form) and tickets (orders to place)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.forms.numbers import format_plain
from app.forms.orders import fields
from app.forms.ticket import Side


class OrderType(StrEnum):
    """The type of an order, which determines its price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """The time for which an order stays open."""

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"
    CLS = "CLS"


TYPE_NAMES = {
    OrderType.MARKET: "Market",
    OrderType.LIMIT: "Limit",
    OrderType.STOP: "Stop",
    OrderType.STOP_LIMIT: "Stop limit",
    OrderType.TRAILING_STOP: "Trailing stop",
}
TIME_NAMES = {
    TimeInForce.DAY: "Day: until the close",
    TimeInForce.GTC: "GTC: until it is canceled",
    TimeInForce.GTD: "GTD: until a date",
    TimeInForce.IOC: "IOC: fill now, cancel the rest",
    TimeInForce.FOK: "FOK: fill all now, or cancel",
    TimeInForce.OPG: "OPG: at the open",
    TimeInForce.CLS: "CLS: at the close",
}
PRICE_ENTRIES = {
    OrderType.MARKET: (),
    OrderType.LIMIT: (fields.LIMIT,),
    OrderType.STOP: (fields.STOP,),
    OrderType.STOP_LIMIT: (fields.STOP, fields.LIMIT),
    OrderType.TRAILING_STOP: (fields.TRAIL,),
}


class Trail(NamedTuple):
    """The distance of a trailing stop: per unit, or in percent."""

    distance: Decimal
    is_percent: bool

    @property
    def text(self) -> str:
        """The distance as it is typed: 2.5 or 5%."""
        return format_plain(self.distance) + ("%" if self.is_percent else "")


@dataclass(frozen=True)
class OrderDraft:
    """Entries of the order form as texts. Empty texts are entries that are not filled in.

    `expires_at` is in Unix seconds. `read_as` is not an entry: it states how a command line was read.
    """

    type: str = OrderType.MARKET.value
    symbol: str = ""
    side: str = ""
    quantity: str = ""
    value: str = ""
    limit_price: str = ""
    stop_price: str = ""
    trail: str = ""
    time_in_force: str = TimeInForce.DAY.value
    expires_at: str = ""
    stop_loss: str = ""
    take_profit: str = ""
    portfolio: str = ""
    reason: str = ""
    is_private: bool = False
    has_type: bool = field(default=False, compare=False)  # the command names the type, or a price
    has_time_in_force: bool = field(default=False, compare=False)
    read_as: str = field(default="", compare=False)

    @property
    def order_type(self) -> OrderType:
        """The chosen type, a market order if there is none."""
        return OrderType(self.type) if self.type in TYPE_NAMES else OrderType.MARKET


@dataclass(frozen=True)
class OrderTicket:
    """An order to place: either `quantity` in units or `value` in the instrument's currency is given."""

    type: OrderType
    symbol: str
    side: Side
    quantity: Decimal | None
    value: Decimal | None
    time_in_force: TimeInForce
    portfolio: str
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Trail | None = None
    expires_at: datetime | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    reason: str = ""

    def draft(self) -> OrderDraft:
        """Return the entries of this ticket."""
        return OrderDraft(
            type=self.type.value,
            symbol=self.symbol,
            side=self.side.value,
            quantity=_format_amount(self.quantity),
            value=_format_amount(self.value),
            limit_price=_format_amount(self.limit_price),
            stop_price=_format_amount(self.stop_price),
            trail=self.trail.text if self.trail else "",
            time_in_force=self.time_in_force.value,
            expires_at=str(int(self.expires_at.timestamp())) if self.expires_at else "",
            stop_loss=_format_amount(self.stop_loss),
            take_profit=_format_amount(self.take_profit),
            portfolio=self.portfolio,
            reason=self.reason,
        )


def to_instant(seconds: str) -> datetime | None:
    """Return the instant of Unix seconds, None for an empty text."""
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def _format_amount(amount: Decimal | None) -> str:
    return "" if amount is None else format_plain(amount)
