"""Inputs and results of the computation of charges."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from operator import add, sub
from typing import NamedTuple

from app.money import ZERO, multiply


class Schedule(StrEnum):
    """The name of a cost schedule."""

    NONE = "none"
    ZERODHA = "zerodha"
    US_EQUITY = "us_equity"
    IBKR_FIXED = "ibkr_fixed"


class OrderTerms(NamedTuple):
    """The properties of an order that determine its rates.

    `exchange` is a code such as NSE. `side` is BUY or SELL. `product` is CNC, MIS or None, which is charged
    like CNC. `on` is the trading day at the exchange.
    """

    schedule: Schedule
    exchange: str
    side: str
    on: date
    product: str | None = None
    is_square_off: bool = False


class ChargedExecution(NamedTuple):
    """A fill: `quantity` in units, `value` in the market's currency."""

    quantity: Decimal
    value: Decimal

    @classmethod
    def from_price(cls, quantity: Decimal, price: Decimal) -> "ChargedExecution":
        """Return a fill at that price per unit, with its value rounded like the ledger's."""
        return cls(quantity, multiply(quantity, price))


class OrderTotals(NamedTuple):
    """The filled totals of an order so far. They are zero for a new order or a new trading day."""

    quantity: Decimal = ZERO
    value: Decimal = ZERO


class DayTotals(NamedTuple):
    """The totals that US fees are computed from, per portfolio and New York day.

    `trading_activity_fee` is in USD, unrounded and capped per execution. `quantity` counts both sides.
    """

    quantity: Decimal = ZERO
    sell_value: Decimal = ZERO
    trading_activity_fee: Decimal = ZERO


class ChargeTotals(NamedTuple):
    """The totals of a fill's order, and the totals of its portfolio and day over all orders."""

    order: OrderTotals = OrderTotals()
    day: DayTotals = DayTotals()


@dataclass(frozen=True, slots=True)
class Charges:
    """Charges by component, in the market's currency. Components that a schedule does not have are zero."""

    brokerage: Decimal = ZERO
    stt: Decimal = ZERO
    exchange: Decimal = ZERO
    sebi: Decimal = ZERO
    gst: Decimal = ZERO
    stamp_duty: Decimal = ZERO
    square_off: Decimal = ZERO
    commission: Decimal = ZERO
    regulatory: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The sum of all components."""
        return sum((getattr(self, name) for name in ALL_COMPONENTS), ZERO)

    def list_components(self, schedule: Schedule) -> dict[str, Decimal]:
        """Return the components that the schedule has, by name."""
        return {name: getattr(self, name) for name in COMPONENTS[schedule]}

    def __add__(self, other: "Charges") -> "Charges":
        return self._combine(other, add)

    def __sub__(self, other: "Charges") -> "Charges":
        return self._combine(other, sub)

    def _combine(self, other: "Charges", operation: Callable[[Decimal, Decimal], Decimal]) -> "Charges":
        return Charges(
            **{name: operation(getattr(self, name), getattr(other, name)) for name in ALL_COMPONENTS}
        )


COMPONENTS: dict[Schedule, tuple[str, ...]] = {
    Schedule.NONE: (),
    Schedule.ZERODHA: ("brokerage", "stt", "exchange", "sebi", "gst", "stamp_duty", "square_off"),
    Schedule.US_EQUITY: ("regulatory",),
    Schedule.IBKR_FIXED: ("commission", "regulatory"),
}
ALL_COMPONENTS = (*COMPONENTS[Schedule.ZERODHA], *COMPONENTS[Schedule.IBKR_FIXED])


class FillCharges(NamedTuple):
    """The charges of one fill, and the totals after it."""

    charges: Charges
    totals: ChargeTotals
