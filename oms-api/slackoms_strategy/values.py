"""The data of a strategy: bars, quotes, orders, fills and positions. Amounts are decimals, instants UTC."""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Self

UNKNOWN_VOLUME = -1
ZERO = Decimal(0)


class Side(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a BUY, which adds to a position; -1 for a SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The opposite side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """The type of an order, which determines its price."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP = "STOP"
    STOP_LIMIT = "STOP_LIMIT"
    TRAILING_STOP = "TRAILING_STOP"


class TimeInForce(StrEnum):
    """The time for which an order works."""

    DAY = "DAY"
    GTC = "GTC"
    GTD = "GTD"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """The status of an order, as the order management system names it."""

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


FINAL_STATUSES = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REPLACED,
        OrderStatus.DENIED,
        OrderStatus.REJECTED,
    }
)


class BarColumns(NamedTuple):
    """Consecutive bars of one symbol as columns of 64-bit integers.

    Prices are in units of the last place: 12.34 is 1234 with `places` 2. `starts` are seconds since 1970 in
    UTC, `seconds` is the length of a bar. Volumes are in units of 10^-`volume_places`; UNKNOWN_VOLUME is
    unknown.
    """

    symbol: str
    seconds: int
    places: int
    volume_places: int
    starts: "array[int]"
    opens: "array[int]"
    highs: "array[int]"
    lows: "array[int]"
    closes: "array[int]"
    volumes: "array[int]"

    def rows(self, first: int, last: int) -> Self:
        """Return the bars from the index `first` up to, but without, `last`."""
        return self._replace(
            starts=self.starts[first:last],
            opens=self.opens[first:last],
            highs=self.highs[first:last],
            lows=self.lows[first:last],
            closes=self.closes[first:last],
            volumes=self.volumes[first:last],
        )


class Bar(NamedTuple):
    """The open, high, low and close of [start, end) of a symbol.

    The `raw` values are whole numbers, see `BarColumns`: they need no conversion.
    """

    symbol: str
    raw_start: int
    raw_open: int
    raw_high: int
    raw_low: int
    raw_close: int
    raw_volume: int
    seconds: int
    places: int
    volume_places: int

    @property
    def start(self) -> datetime:
        """The first instant of the bar."""
        return datetime.fromtimestamp(self.raw_start, UTC)

    @property
    def ends_at(self) -> datetime:
        """The first instant after the bar, when it is known."""
        return datetime.fromtimestamp(self.raw_start + self.seconds, UTC)

    @property
    def open(self) -> Decimal:
        """The first price."""
        return Decimal(self.raw_open).scaleb(-self.places)

    @property
    def high(self) -> Decimal:
        """The highest price."""
        return Decimal(self.raw_high).scaleb(-self.places)

    @property
    def low(self) -> Decimal:
        """The lowest price."""
        return Decimal(self.raw_low).scaleb(-self.places)

    @property
    def close(self) -> Decimal:
        """The last price."""
        return Decimal(self.raw_close).scaleb(-self.places)

    @property
    def volume(self) -> Decimal | None:
        """The traded quantity in units, None if it is unknown."""
        volume = self.raw_volume
        return None if volume == UNKNOWN_VOLUME else Decimal(volume).scaleb(-self.volume_places)

    def __repr__(self) -> str:
        prices = "/".join(f"{price:f}" for price in (self.open, self.high, self.low, self.close))
        return f"Bar({self.symbol} {self.start:%Y-%m-%dT%H:%MZ} {prices})"


def build_bar(columns: BarColumns, row: int) -> Bar:
    """Return one row of columns."""
    return Bar(
        columns.symbol, columns.starts[row], columns.opens[row], columns.highs[row], columns.lows[row],
        columns.closes[row], columns.volumes[row], columns.seconds, columns.places, columns.volume_places,
    )  # fmt: skip


class Quote(NamedTuple):
    """Bid, ask and last price per unit at an instant. None means unknown."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    at: datetime


class Position(NamedTuple):
    """A position: signed units, their signed cost, and the P&L realized so far, before charges."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO


class Fill(NamedTuple):
    """An execution of an order: units, price per unit, value, and the charges that it caused."""

    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    value: Decimal
    charges: Decimal
    at: datetime


class OrderState(NamedTuple):
    """An order as it is at the moment.

    `reason` states why it was denied, rejected, canceled or expired. `parent_id` is the entry of an exit.
    """

    id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    status: OrderStatus
    filled_quantity: Decimal = ZERO
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    reason: str | None = None
    parent_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status not in FINAL_STATUSES

    @property
    def leaves_quantity(self) -> Decimal:
        """The quantity that can still fill."""
        return self.quantity - self.filled_quantity if self.is_open else ZERO


def to_array(values: Sequence[int]) -> "array[int]":
    """Return whole numbers as a column."""
    return array("q", values)
