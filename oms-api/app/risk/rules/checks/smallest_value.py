"""Check that the order is worth enough to be booked."""

from decimal import Decimal

from app.risk.rules.exposure import compute_order_value, find_order_price
from app.risk.rules.values import Denial, RiskInput

SMALLEST_VALUE = Decimal("0.00000001")


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order whose value rounds to zero: it could never fill, unless it reduces a position."""
    price = find_order_price(risk.order, risk.prices)
    if price is None or compute_order_value(quantity, price) or _is_reducing(risk, quantity):
        return None
    message = f"The value rounds to zero in 8 decimals; the smallest is {SMALLEST_VALUE:f}."
    return Denial("VALUE_TOO_SMALL", message, SMALLEST_VALUE, quantity)


def _is_reducing(risk: RiskInput, quantity: Decimal) -> bool:
    position = risk.symbol_exposure.position
    is_opposite = position < 0 if risk.order.side == "BUY" else position > 0
    return is_opposite and quantity <= abs(position)
