"""Check the gross exposure: the sum of all long and short positions, including working orders."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import (
    compute_market_value,
    compute_order_value,
    convert_to_firm_currency,
    find_order_price,
    get_reducible_quantity,
)
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that could raise the portfolio's, or the firm's, gross exposure above its limit."""
    limit, firm_limit = risk.limits.max_gross_exposure, risk.limits.firm_gross_exposure
    if limit is None and firm_limit is None:
        return None
    price = find_order_price(risk.order, risk.prices)
    if price is None or quantity <= get_reducible_quantity(risk.symbol_exposure, risk.order.side):
        return None
    gross = risk.other_exposure.gross + _compute_gross(
        risk, compute_order_value(quantity, price, risk.symbol_exposure.rate)
    )
    if limit is not None and gross > limit:
        sentence = f"The gross exposure of a portfolio may be at most {format_grouped_amount(limit)}."
        return Denial("MAX_GROSS_EXPOSURE", sentence, limit, gross)
    gross = convert_to_firm_currency(gross, risk.firm_rate) + risk.firm.gross
    if firm_limit is not None and gross > firm_limit:
        sentence = f"The gross exposure of all portfolios may be at most {format_grouped_amount(firm_limit)}."
        return Denial("FIRM_GROSS_EXPOSURE", sentence, firm_limit, gross)
    return None


def _compute_gross(risk: RiskInput, added_value: Decimal) -> Decimal:
    exposure, held_quantity = risk.symbol_exposure, compute_market_value(risk.symbol_exposure)
    is_buy = risk.order.side == "BUY"
    high = held_quantity + exposure.buy_value + (added_value if is_buy else 0)
    low = held_quantity - exposure.sell_value - (0 if is_buy else added_value)
    return max(abs(high), abs(low))
