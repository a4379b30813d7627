"""Orders as a broker sees them, and what a broker says of them."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.accounting import Side
from app.money import PLACES, ZERO

SMALLEST = Decimal(1).scaleb(-PLACES)


class OrderType(StrEnum):
    """How an order's price is found."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """How long an order works. The calendar ends DAY, GTD, OPG and CLS; IOC and FOK end where they arrive."""

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"
    CLS = "CLS"


# What the paper market can do while it trades on quotes: it has no auctions yet.
PAPER_TIMES_IN_FORCE = frozenset(TimeInForce) - {TimeInForce.OPG, TimeInForce.CLS}


class BrokerOrder(NamedTuple):
    """A working order: units, prices per unit in the instrument's currency.

    `leaves` is what is still to be filled, `quantity - leaves` what was. `trail_percent` is 5 for 5%, and
    `trail_level` the stop that a trail has come to, None before it saw a price. `triggered` says that a
    stop was reached. Orders of one `group` share their quantity: what one fills, its siblings lose. A fill of
    an order with a `parent_id` ends what is left of that parent. What `reduces` a position fills also where
    its value is zero in 8 decimals.
    """

    id: str
    portfolio_id: int
    symbol: str
    side: Side
    kind: OrderType
    quantity: Decimal
    leaves: Decimal
    accepted_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    trail_level: Decimal | None = None
    triggered: bool = False
    time_in_force: TimeInForce = TimeInForce.DAY
    tick: Decimal = SMALLEST
    lot: Decimal = SMALLEST
    group: str | None = None
    parent_id: str | None = None
    reduces: bool = False


class Accepted(NamedTuple):
    """The broker works the order."""

    order_id: str
    at: datetime


class Rejected(NamedTuple):
    """The broker does not take the order; `reason` is in its own words."""

    order_id: str
    reason: str
    at: datetime


class Executed(NamedTuple):
    """A fill: units, price per unit, and its value to 8 places. `execution_id` is applied once.

    On paper the id is the order's with the quantity that was filled before, so that the same order matched
    twice makes the same id twice.
    """

    order_id: str
    execution_id: str
    quantity: Decimal
    price: Decimal
    value: Decimal
    at: datetime


class Triggered(NamedTuple):
    """A stop or a trail was reached: from now on the order trades."""

    order_id: str
    at: datetime


class TrailMoved(NamedTuple):
    """A trail has followed the price: its stop is `level` now."""

    order_id: str
    level: Decimal


class Lapsed(NamedTuple):
    """What IOC or FOK left unfilled is cancelled by the broker itself."""

    order_id: str
    reason: str
    at: datetime


class Canceled(NamedTuple):
    """The order works no more, as was asked."""

    order_id: str
    at: datetime


class Replaced(NamedTuple):
    """The order has given way to the order `successor_id`."""

    order_id: str
    successor_id: str
    at: datetime


class Refused(NamedTuple):
    """A cancel or a replacement was not done, and the order is what it was."""

    order_id: str
    reason: str
    at: datetime


MarketEvent = Executed | Triggered | TrailMoved | Lapsed
BrokerEvent = MarketEvent | Accepted | Rejected | Canceled | Replaced | Refused


class Holding(NamedTuple):
    """What a broker says is held of a symbol: units and what they cost, signed."""

    portfolio_id: int
    symbol: str
    quantity: Decimal
    cost: Decimal


class Account(NamedTuple):
    """What a broker says there is: cash in `currency`, and what may be bought with."""

    currency: str
    cash: Decimal
    buying_power: Decimal = ZERO
