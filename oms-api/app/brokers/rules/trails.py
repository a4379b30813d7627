"""Trailing stops: a level that follows the price one way."""

from decimal import Decimal

from app.brokers.rules.values import BrokerOrder
from app.ledger.rules.accounting import Side
from app.money import ZERO, nearest_to

_HUNDRED = Decimal(100)


def ratcheted(order: BrokerOrder, price: Decimal) -> Decimal | None:
    """Return the level that `price` pulls the trail to, rounded half up to the tick, or None where it stays.

    A SELL's level only rises, a BUY's only falls; a level that is not above zero is none.
    """
    distance = order.trail_amount
    if distance is None:
        distance = price * (order.trail_percent or ZERO) / _HUNDRED
    level = nearest_to(price + order.side.sign * distance, order.tick)
    if level <= ZERO:
        return None
    if order.trail_level is None or (level - order.trail_level) * order.side.sign < ZERO:
        return level
    return None


def is_reached(side: Side, watched: Decimal, stop: Decimal) -> bool:
    """Tell whether a stop triggers; touching does."""
    return watched >= stop if side is Side.BUY else watched <= stop
