"""Check the number of open orders."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.values import Denial, RiskInput

MAX_OPEN_ORDERS = Decimal(10_000)  # per portfolio, whatever the limit: each new order reads all open ones


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order above the maximum number of open orders of the portfolio, or of the firm."""
    set_most, firm_most = risk.limits.max_open_orders, risk.limits.firm_open_orders
    limit = MAX_OPEN_ORDERS if set_most is None else min(set_most, MAX_OPEN_ORDERS)
    orders = Decimal(risk.other_exposure.orders + risk.symbol_exposure.orders + 1)
    if orders > limit:
        sentence = f"A portfolio may have at most {format_grouped_amount(limit)} open orders."
        return Denial("MAX_OPEN_ORDERS", sentence, limit, orders)
    orders += risk.firm.orders
    if firm_most is not None and orders > firm_most:
        sentence = f"All portfolios together may have at most {format_grouped_amount(firm_most)} open orders."
        return Denial("FIRM_OPEN_ORDERS", sentence, firm_most, orders)
    return None
