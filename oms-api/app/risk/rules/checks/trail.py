"""Check that a trail is smaller than the price it follows; otherwise it would never trigger."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_touch_price
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a `trail_amount` of at least the price."""
    order, prices = risk.order, risk.prices
    price = get_touch_price(order.side, prices) if prices.last is None else prices.last
    if order.trail_amount is None or price is None or order.trail_amount < price:
        return None
    sentence = (
        f"trail_amount must be smaller than the price of {order.symbol}, {format_grouped_amount(price)}."
    )
    return Denial("TRAIL_AMOUNT", sentence, price, order.trail_amount)
