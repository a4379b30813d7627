"""Compute the trade that makes a position of ours equal to the broker's."""

from decimal import Decimal
from typing import NamedTuple

from app.ledger.rules.accounting import Side, compute_closed_quantity
from app.money import ZERO, multiply
from app.reconciliation.rules.differences import HeldAmount


class AdoptionTrade(NamedTuple):
    """A trade: side, units (> 0), and value (≥ 0) in the currency that the instrument trades in."""

    side: Side
    quantity: Decimal
    value: Decimal


def build_adoption_trade(stored: HeldAmount, reported: HeldAmount) -> AdoptionTrade | None:
    """Return the trade between two positions, None if their quantities are equal.

    The quantity that it adds is valued so that the cost equals the broker's. The quantity that it removes is
    valued at our average cost and realizes no P&L, because the price of its sale is unknown.
    """
    delta = reported.quantity - stored.quantity
    if not delta:
        return None
    side = Side.BUY if delta > 0 else Side.SELL
    closed = compute_closed_quantity(stored.quantity, delta)
    value = multiply(closed, stored.average_cost)
    opened_quantity = abs(delta) - closed
    if opened_quantity:
        value += _compute_opening_value(stored, reported, opened_quantity)
    return AdoptionTrade(side, abs(delta), value)


def _compute_opening_value(stored: HeldAmount, reported: HeldAmount, opened_quantity: Decimal) -> Decimal:
    """Return the value of the opened part: the broker's cost minus ours, else its average cost."""
    is_addition = stored.quantity * reported.quantity > 0
    missing_cost = abs(reported.cost) - abs(stored.cost) if is_addition else abs(reported.cost)
    return missing_cost if missing_cost > ZERO else multiply(opened_quantity, reported.average_cost)
