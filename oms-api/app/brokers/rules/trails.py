"""Trailing stops: a level that follows the price in one direction."""

from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.values import BrokerOrder
from app.ledger.rules.accounting import Side
from app.money import ZERO, round_to_nearest_step

_HUNDRED = Decimal(100)


def advance_trail(order: BrokerOrder, price: Decimal) -> Decimal | None:
    """Return the new trailing level at `price`, rounded half up to the tick, or None if it does not move.

    The level of a SELL only rises, the level of a BUY only falls. A level that is not above zero is ignored.
    """
    distance = order.trail_amount
    if distance is None:
        distance = price * (order.trail_percent or ZERO) / _HUNDRED
    level = round_to_nearest_step(price + order.side.sign * distance, order.tick_size)
    if level <= ZERO:
        return None
    if order.trail_level is None or (level - order.trail_level) * order.side.sign < ZERO:
        return level
    return None


class TrailDistance(NamedTuple):
    """The distance between a trailing stop and the price: an amount, or a percentage of the price."""

    amount: Decimal | None = None
    percent: Decimal | None = None


def replace_trail_level(
    side: Side, level: Decimal | None, before: TrailDistance, after: TrailDistance, tick: Decimal
) -> Decimal | None:
    """Return the level of a replaced trailing stop, computed from the extreme price behind the old level.

    Return None if there is no level yet, or if the new one would not be above zero.
    """
    if level is None:
        return None
    share = Decimal(1) + side.sign * (before.percent or ZERO) / _HUNDRED
    extreme = (level - side.sign * (before.amount or ZERO)) / share
    distance = after.amount if after.amount is not None else extreme * (after.percent or ZERO) / _HUNDRED
    trail_level = round_to_nearest_step(extreme + side.sign * distance, tick)
    return trail_level if trail_level > ZERO else None


def is_stop_reached(side: Side, trigger_price: Decimal, stop: Decimal) -> bool:
    """Return whether the price has reached the stop. Touching is enough."""
    return trigger_price >= stop if side is Side.BUY else trigger_price <= stop
