"""The changes by a corporate action, as a preview shows them."""

from decimal import Decimal
from typing import NamedTuple

from app.orders.rules.split_adjustments import RestatedOrder
from app.orders.rules.values import Order


class AffectedPortfolio(NamedTuple):
    """A portfolio that an action may concern."""

    id: int
    name: str
    base_currency: str


class PositionChange(NamedTuple):
    """A position before and after an action. `cash` is in the portfolio's currency, signed.

    `average` are average costs; a symbol change moves the position to `new_symbol`.
    """

    portfolio: AffectedPortfolio
    symbol: str
    product: str
    quantity: Decimal
    average: Decimal
    new_quantity: Decimal
    new_average: Decimal
    cash: Decimal


class OpenOrderChange(NamedTuple):
    """An open order that an action restates, or cancels where `restated` is None."""

    portfolio: AffectedPortfolio
    order: Order
    restated: RestatedOrder | None


class ActionPreview(NamedTuple):
    """The changes that an action would make."""

    positions: list[PositionChange]
    orders: list[OpenOrderChange]
