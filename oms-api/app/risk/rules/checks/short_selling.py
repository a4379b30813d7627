"""Check short selling."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_reducible_quantity
from app.risk.rules.values import Denial, OrderLimits, RiskInput

_LONG_ONLY_PRODUCT = "CNC"  # delivery: only held units can be sold


def can_go_short(limits: OrderLimits, product: str) -> bool:
    """Return whether more than the position may be sold."""
    return limits.short_selling and product != _LONG_ONLY_PRODUCT


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a SELL beyond the position if short selling is off, and always for delivery."""
    if risk.order.side == "BUY" or can_go_short(risk.limits, risk.order.product):
        return None
    reducible_quantity = get_reducible_quantity(risk.symbol_exposure, "SELL")
    if quantity <= reducible_quantity:
        return None
    sentence = (
        f"Short sales are not allowed: at most {format_grouped_amount(reducible_quantity)} "
        f"{risk.order.symbol} can be sold, open sell orders subtracted."
    )
    return Denial("SHORT_SELLING", sentence, reducible_quantity, quantity)
