"""Net positions at average cost.

Quantity and cost are exact; the average price is only for display. Cost has the sign of the quantity. A
position in another currency than its portfolio's has two costs: in the portfolio's currency by the rate of
each fill, and in its own currency ("local").
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO, compute_share, divide, multiply
from app.timestamps import BEFORE_ALL, Timestamp


class Side(StrEnum):
    """The side of a trade."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a BUY, which adds to a position; -1 for a SELL."""
        return 1 if self is Side.BUY else -1


class Position(NamedTuple):
    """A position in one symbol and product: quantity, cost, and realized P&L before charges.

    Cost and P&L are in the portfolio's currency. `currency` is the trading currency if it differs (None: the
    portfolio's own), and `local_cost` the cost in it. `opened_at` is when the position last opened or changed
    sign, None while flat. `closed_at` is when it last became flat, `last_executed_at` when its latest
    fill was executed. Instants are canonical text.
    """

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    local_cost: Decimal = ZERO
    currency: str | None = None
    opened_at: Timestamp | None = None
    closed_at: Timestamp | None = None
    last_executed_at: Timestamp | None = None

    @property
    def amounts(self) -> tuple[Decimal, Decimal, Decimal, Decimal]:
        """Quantity, cost, realized P&L and local cost."""
        return (self.quantity, self.cost, self.realized_pnl, self.local_cost)

    @property
    def times(self) -> tuple[Timestamp | None, Timestamp | None, Timestamp | None]:
        """The times at which it was opened, closed, and traded last."""
        return (self.opened_at, self.closed_at, self.last_executed_at)


class Fill(NamedTuple):
    """An execution: quantity (> 0), value in the portfolio's currency, and time.

    For a trade in another currency, `currency` names it and `local_value` is the value in it.
    """

    side: Side
    quantity: Decimal
    value: Decimal
    local_value: Decimal = ZERO
    currency: str | None = None
    at: Timestamp | None = None


def convert_amount(amount: Decimal, rate: Decimal | None) -> Decimal:
    """Return an amount in the portfolio's currency. `rate` is None if it is in that currency already."""
    return amount if rate is None else multiply(amount, rate)


def build_fill(
    side: Side, quantity: Decimal, value: Decimal, currency: str | None, rate: Decimal | None,
    at: Timestamp | None,
) -> Fill:  # fmt: skip
    """Return a fill of a value in `currency`, None for the portfolio's own. `rate` converts it."""
    if rate is None:
        return Fill(side, quantity, value, at=at)
    return Fill(side, quantity, convert_amount(value, rate), value, currency, at)


FLAT = Position()
MIXED = "mixed"  # marks a position with fills in several currencies, which has no local cost


def compute_closed_quantity(position: Decimal, fill: Decimal) -> Decimal:
    """Return the unsigned quantity of the position that a fill closes; both arguments are signed."""
    if position * fill >= 0:
        return ZERO
    return min(abs(position), abs(fill))


def apply_fill(position: Position, fill: Fill) -> Position:
    """Return the position after `fill`.

    A fill in the same direction adds up. A fill in the opposite direction releases cost in proportion (all of
    it on a full close) and realizes the difference to the closed part's value. A fill that changes the sign
    opens the new position with the rest of its value.
    """
    sign = fill.side.sign
    signed = sign * fill.quantity
    quantity = position.quantity + signed
    closed = compute_closed_quantity(position.quantity, signed)
    is_local = fill.currency is not None or position.currency is not None
    local_cost = _compute_local_cost(position, fill, closed) if is_local else ZERO
    currency = _get_currency_after(position, fill) if is_local else None
    opened_at, closed_at = compute_position_times(position, quantity, fill.at)
    times = (opened_at, closed_at, get_later_timestamp(position.last_executed_at, fill.at))
    if not closed:
        cost = position.cost + sign * fill.value
        return Position(quantity, cost, position.realized_pnl, local_cost, currency, *times)
    released_cost = _compute_part(position.cost, closed, abs(position.quantity))
    closed_value = _compute_part(fill.value, closed, fill.quantity)
    # Selling a long earns value - cost; a short's cost is negative, so the same sum serves, mirrored.
    realized = -sign * closed_value - released_cost
    cost = position.cost - released_cost + sign * (fill.value - closed_value)
    return Position(quantity, cost, position.realized_pnl + realized, local_cost, currency, *times)


def get_later_timestamp(timestamp: Timestamp | None, other: Timestamp | None) -> Timestamp | None:
    """Return the later of two instants in canonical text; None if both are None."""
    return max(timestamp or BEFORE_ALL, other or BEFORE_ALL) or None


def compute_position_times(
    before: Position, quantity: Decimal, at: Timestamp | None
) -> tuple[Timestamp | None, Timestamp | None]:
    """Return opened_at and closed_at of a position after it changed to `quantity` at an instant."""
    if not quantity:
        return None, at if before.quantity else before.closed_at
    opens = before.quantity * quantity <= 0
    return at if opens else before.opened_at, before.closed_at


def choose_fill_currency(position: Position, listed_currency: str | None, base: str) -> str | None:
    """Return the currency of a fill, None if it is the portfolio's own (`base`).

    An open position keeps its currency until it is flat. Otherwise the instrument's listed currency applies;
    an instrument that is not listed trades in the portfolio's currency.
    """
    if position.quantity:
        return position.currency
    return None if listed_currency == base else listed_currency


def compute_average_cost(quantity: Decimal, cost: Decimal) -> Decimal:
    """Return the cost per unit for display, to 8 decimals; zero for a flat position."""
    return divide(cost, quantity) if quantity else ZERO


def replay_fills(fills: Iterable[Fill], start: Position = FLAT) -> Position:
    """Return the position after applying `fills` in order to `start`."""
    position = start
    for fill in fills:
        position = apply_fill(position, fill)
    return position


def _compute_part(amount: Decimal, closed: Decimal, whole: Decimal) -> Decimal:
    return amount if closed == whole else compute_share(amount, closed, whole)


def _compute_local_cost(position: Position, fill: Fill, closed: Decimal) -> Decimal:
    """Return the cost in the instrument's currency after the fill, by the same rules, rounded on its own."""
    sign = fill.side.sign
    if not closed:
        return position.local_cost + sign * fill.local_value
    released_cost = _compute_part(position.local_cost, closed, abs(position.quantity))
    opening = fill.local_value - _compute_part(fill.local_value, closed, fill.quantity)
    return position.local_cost - released_cost + sign * opening


def _get_currency_after(position: Position, fill: Fill) -> str | None:
    if not position.quantity or position.currency == fill.currency:
        return fill.currency
    return MIXED
