"""Check the quantity of an order."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a quantity above the limit. The quantity that a replaced order has filled is included."""
    limit, total = risk.limits.max_order_quantity, quantity + risk.order.filled_quantity
    if limit is None or total <= limit:
        return None
    return Denial(
        "MAX_ORDER_QUANTITY", f"An order may have at most {format_grouped_amount(limit)} units.", limit, total
    )
