"""Check that an order cannot trade against a resting order of the same portfolio."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import find_order_price, is_waiting
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a price that reaches an own limit order on the other side. Untriggered stops do not count."""
    order, exposure = risk.order, risk.symbol_exposure
    own_price = exposure.lowest_offer if order.side == "BUY" else exposure.highest_bid
    if own_price is None or is_waiting(order):
        return None
    price = find_order_price(order, risk.prices)
    if price is None or (price < own_price if order.side == "BUY" else price > own_price):
        return None
    sentence = (
        f"The order could trade with your own at {format_grouped_amount(own_price)}; "
        "cancel that one, or change the price."
    )
    return Denial("SELF_MATCH", sentence, own_price, price)
