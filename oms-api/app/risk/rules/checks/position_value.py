"""Check the value of a position, including working orders."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import (
    compute_market_value,
    compute_order_value,
    find_order_price,
    get_reducible_quantity,
)
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that could raise the position's value above the limit. Reducing it is allowed."""
    limit, order, exposure = risk.limits.max_position_value, risk.order, risk.symbol_exposure
    if limit is None:
        return None
    price = find_order_price(order, risk.prices)
    if price is None or quantity <= get_reducible_quantity(exposure, order.side):
        return None
    held_quantity, added_value = (
        compute_market_value(exposure),
        compute_order_value(quantity, price, exposure.rate),
    )
    value = (
        held_quantity + exposure.buy_value + added_value
        if order.side == "BUY"
        else exposure.sell_value + added_value - held_quantity
    )
    if value <= limit:
        return None
    sentence = (
        f"The position in {order.symbol} may be worth at most {format_grouped_amount(limit)}, "
        "working orders counted."
    )
    return Denial("MAX_POSITION_VALUE", sentence, limit, value)
