"""Check that prices are plausible."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny limit and stop prices outside the price range."""
    least, limit = risk.limits.min_price, risk.limits.max_price
    for price in (risk.order.limit_price, risk.order.stop_price):
        if price is None:
            continue
        if least is not None and price < least:
            return Denial(
                "PRICE_RANGE", f"A price must be at least {format_grouped_amount(least)}.", least, price
            )
        if limit is not None and price > limit:
            return Denial(
                "PRICE_RANGE", f"A price must be at most {format_grouped_amount(limit)}.", limit, price
            )
    return None
