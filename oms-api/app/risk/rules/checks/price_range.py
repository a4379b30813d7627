"""Check that prices are plausible."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput
from app.risk.rules.words import format_amount


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny limit and stop prices outside the price range."""
    least, most = risk.limits.min_price, risk.limits.max_price
    for price in (risk.order.limit_price, risk.order.stop_price):
        if price is None:
            continue
        if least is not None and price < least:
            return Denial("PRICE_RANGE", f"A price must be at least {format_amount(least)}.", least, price)
        if most is not None and price > most:
            return Denial("PRICE_RANGE", f"A price must be at most {format_amount(most)}.", most, price)
    return None
