"""Netting at average cost. Quantity and cost are the truth, a price is for display; cost is signed like
quantity.
"""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO, ratio, share


class Side(StrEnum):
    """Which way a trade goes."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 adds to a position, -1 takes from it."""
        return 1 if self is Side.BUY else -1


class Position(NamedTuple):
    """What is held of one symbol and product: units, what they cost, and the P&L realised so far (before
    charges).
    """

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized_pnl: Decimal = ZERO


class Fill(NamedTuple):
    """An execution: units > 0, and their value > 0 in the instrument's currency."""

    side: Side
    quantity: Decimal
    value: Decimal


FLAT = Position()


def closed_quantity(position: Decimal, fill: Decimal) -> Decimal:
    """Return how much of the position a fill closes, in units; both are signed, the result is not."""
    if position * fill >= 0:
        return ZERO
    return min(abs(position), abs(fill))


def apply_fill(position: Position, fill: Fill) -> Position:
    """Return the position after `fill`.

    The same direction adds up. The opposite one releases cost in proportion (all of it on a full close) and
    realises the difference to the closed part's value; what goes through zero opens with the remainder of the
    fill's value.
    """
    sign = fill.side.sign
    closed = closed_quantity(position.quantity, sign * fill.quantity)
    if not closed:
        return Position(
            position.quantity + sign * fill.quantity, position.cost + sign * fill.value, position.realized_pnl
        )
    released = _released_cost(position, closed)
    closed_value = fill.value if closed == fill.quantity else share(fill.value, closed, fill.quantity)
    # Selling a long earns value - cost; a short's cost is negative, so the same sum serves, mirrored.
    realized = -sign * closed_value - released
    return Position(
        position.quantity + sign * fill.quantity,
        position.cost - released + sign * (fill.value - closed_value),
        position.realized_pnl + realized,
    )


def average_cost(quantity: Decimal, cost: Decimal) -> Decimal:
    """Return cost per unit for display, to 8 places; zero for a flat position."""
    return ratio(cost, quantity) if quantity else ZERO


def replay(fills: Iterable[Fill], start: Position = FLAT) -> Position:
    """Return the position that `fills`, in order, make of `start`."""
    position = start
    for fill in fills:
        position = apply_fill(position, fill)
    return position


def _released_cost(position: Position, closed: Decimal) -> Decimal:
    whole = abs(position.quantity)
    return position.cost if closed == whole else share(position.cost, closed, whole)
