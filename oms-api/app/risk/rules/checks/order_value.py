"""Check the value of an order."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import compute_order_value, find_order_price
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a value above the limit, and an order that cannot be valued.

    The quantity that a replaced order has filled is included, valued at the same price.
    """
    price = find_order_price(risk.order, risk.prices)
    if price is None:
        return Denial(
            "NO_REFERENCE_PRICE",
            f"There is no price of {risk.order.symbol} to value the order; publish a quote.",
        )
    limit = risk.limits.max_order_value
    if limit is None:
        return None
    value = compute_order_value(quantity + risk.order.filled_quantity, price, risk.symbol_exposure.rate)
    if value <= limit:
        return None
    return Denial(
        "MAX_ORDER_VALUE", f"An order may be worth at most {format_grouped_amount(limit)}.", limit, value
    )
