"""Orders as a broker receives them, and the events that it returns."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.ledger.rules.accounting import Side
from app.money import PLACES, ZERO

SMALLEST = Decimal(1).scaleb(-PLACES)


class OrderType(StrEnum):
    """The way in which the price of an order is determined."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """The time that an order stays open.

    The calendar ends DAY, GTD, OPG and CLS orders. IOC and FOK end on arrival.
    """

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"
    OPG = "OPG"
    CLS = "CLS"


# The paper market supports these. It has no auctions yet.
PAPER_TIMES_IN_FORCE = frozenset(TimeInForce) - {TimeInForce.OPG, TimeInForce.CLS}


class BrokerOrder(NamedTuple):
    """A working order. Quantities are in units, prices per unit in the instrument's currency.

    `leaves` is the unfilled quantity. `trail_percent` is 5 for 5%. `trail_level` is the current stop of a
    trailing stop, or None before its first price. `triggered` is true once a stop was reached. Orders of one
    `group` share their quantity: a fill of one reduces its siblings. A fill of an order with a `parent_id`
    ends the unfilled rest of that parent. An order that `reduces` a position fills even if its value is zero
    at 8 decimals. Asset class, currency and exchange are those of the instrument. `product` is that of an
    Indian broker. Exchange and product may be empty. `expires_at` is the end of a GTD order. `extended_hours`
    requests trading outside of the regular hours. `linked` are the orders that are sent in the same request:
    the exits of an entry, or the stop of a pair whose limit this is.
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
    asset_class: str = "equity"
    currency: str = "USD"
    exchange: str = ""
    product: str = ""
    expires_at: datetime | None = None
    extended_hours: bool = False
    linked: tuple["BrokerOrder", ...] = ()


class Accepted(NamedTuple):
    """The broker works the order."""

    order_id: str
    at: datetime


class Rejected(NamedTuple):
    """The broker rejected the order. `reason` is the broker's text."""

    order_id: str
    reason: str
    at: datetime


class Executed(NamedTuple):
    """A fill: units, price per unit, and its value to 8 decimals. An `execution_id` is applied only once.

    `order_filled` is the order's filled quantity at the broker, where the fill was read from a list that may
    name fills otherwise than the events; see `fill_matching`. None: the id alone identifies it.

    The paper market derives the id from the order id and the quantity filled before, so that matching an
    order twice yields the same id.
    """

    order_id: str
    execution_id: str
    quantity: Decimal
    price: Decimal
    value: Decimal
    at: datetime
    order_filled: Decimal | None = None


class Triggered(NamedTuple):
    """A stop or trailing stop was reached. The order can trade from now on."""

    order_id: str
    at: datetime


class TrailMoved(NamedTuple):
    """The level of a trailing stop moved to `level`."""

    order_id: str
    level: Decimal


class UnfilledCanceled(NamedTuple):
    """The broker canceled the unfilled quantity without a request, for example of an IOC or FOK order."""

    order_id: str
    reason: str
    at: datetime


class Canceled(NamedTuple):
    """The order was canceled as requested."""

    order_id: str
    at: datetime


class Expired(NamedTuple):
    """The order reached the end of its time in force."""

    order_id: str
    at: datetime


class Busted(NamedTuple):
    """The broker or venue busted an execution."""

    order_id: str
    execution_id: str
    reason: str
    at: datetime


class Charged(NamedTuple):
    """The broker charged `amount` in `currency` for an execution, in total. It is reported after the fill."""

    order_id: str
    execution_id: str
    amount: Decimal
    currency: str
    at: datetime


class Replaced(NamedTuple):
    """The order was replaced by the order `successor_id`.

    `quantity` is the total quantity at the broker, including earlier fills; None if it is as requested.
    """

    order_id: str
    successor_id: str
    at: datetime
    quantity: Decimal | None = None


class CancelRejected(NamedTuple):
    """The broker rejected a cancel or replace request. The order is unchanged."""

    order_id: str
    reason: str
    at: datetime


MarketEvent = Executed | Triggered | TrailMoved | UnfilledCanceled
BrokerEvent = (
    MarketEvent | Accepted | Rejected | Canceled | Expired | Replaced | CancelRejected | Busted | Charged
)


class BrokerPosition(NamedTuple):
    """A position at the broker: signed units and their signed cost."""

    portfolio_id: int
    symbol: str
    quantity: Decimal
    cost: Decimal


class Account(NamedTuple):
    """The account at the broker: cash and buying power in `currency`.

    `number` is the broker's name of the account. `is_paper` is None if the broker does not report its kind.
    """

    currency: str
    cash: Decimal
    buying_power: Decimal = ZERO
    number: str | None = None
    is_paper: bool | None = None


def list_options(names: Iterable[str]) -> str:
    """Return names in alphabetical order as a text: `DAY, GTC or IOC`."""
    *first_names, last_name = sorted(str(name) for name in names)
    return f"{', '.join(first_names)} or {last_name}" if first_names else last_name
