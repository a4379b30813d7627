"""Derive the stop-loss and take-profit price of a position from its exit orders."""

from collections.abc import Iterable
from decimal import Decimal

from app.ledger.rules.marks import Exits
from app.orders.rules.contingency import SHARING
from app.orders.rules.values import WORKING_STATUSES, Order, OrderType


def find_exit_levels(quantity: Decimal, orders: Iterable[Order]) -> Exits:
    """Return the nearest stop-loss and take-profit price of a position of the signed `quantity`.

    Only working exits and OCO orders count.
    """
    side = "SELL" if quantity > 0 else "BUY"
    exits = [
        one for one in orders if one.side == side and one.role in SHARING and one.status in WORKING_STATUSES
    ]
    targets = [one.limit_price for one in exits if one.type is OrderType.LIMIT and one.limit_price]
    trails = (one.trail_level or one.stop_price for one in exits if one.type is not OrderType.LIMIT)
    stops = [price for price in trails if price is not None]
    first, last = (max, min) if side == "SELL" else (min, max)
    return Exits(first(stops, default=None), last(targets, default=None))
