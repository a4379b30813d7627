"""Derive the stop-loss and take-profit price of a position from its exit orders."""

from collections.abc import Iterable
from decimal import Decimal

from app.ledger.rules.marks import ExitPrices
from app.orders.rules.contingency import OCO_ROLES
from app.orders.rules.values import WORKING_STATUSES, Order, OrderType


def compute_exit_levels(quantity: Decimal, orders: Iterable[Order]) -> ExitPrices:
    """Return the nearest stop-loss and take-profit price of a position of the signed `quantity`.

    Only working exits and OCO orders count.
    """
    side = "SELL" if quantity > 0 else "BUY"
    exits = [
        order
        for order in orders
        if order.side == side and order.role in OCO_ROLES and order.status in WORKING_STATUSES
    ]
    take_profit_prices = [
        exit_order.limit_price
        for exit_order in exits
        if exit_order.type is OrderType.LIMIT and exit_order.limit_price
    ]
    stop_levels = (
        exit_order.trail_level or exit_order.stop_price
        for exit_order in exits
        if exit_order.type is not OrderType.LIMIT
    )
    stop_loss_prices = [price for price in stop_levels if price is not None]
    nearest_stop, nearest_target = (max, min) if side == "SELL" else (min, max)
    return ExitPrices(
        nearest_stop(stop_loss_prices, default=None), nearest_target(take_profit_prices, default=None)
    )
