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


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that could raise the portfolio's, or the firm's, gross exposure above its limit."""
    most, firm_most = risk.limits.max_gross_exposure, risk.limits.firm_gross_exposure
    if most is None and firm_most is None:
        return None
    price = find_order_price(risk.order, risk.prices)
    if price is None or quantity <= get_reducible_quantity(risk.book, risk.order.side):
        return None
    gross = risk.other_exposure.gross + _compute_gross(
        risk, compute_order_value(quantity, price, risk.book.rate)
    )
    if most is not None and gross > most:
        sentence = f"The gross exposure of a portfolio may be at most {format_grouped_amount(most)}."
        return Denial("MAX_GROSS_EXPOSURE", sentence, most, gross)
    gross = convert_to_firm_currency(gross, risk.firm_rate) + risk.firm.gross
    if firm_most is not None and gross > firm_most:
        sentence = f"The gross exposure of all portfolios may be at most {format_grouped_amount(firm_most)}."
        return Denial("FIRM_GROSS_EXPOSURE", sentence, firm_most, gross)
    return None


def _compute_gross(risk: RiskInput, added_value: Decimal) -> Decimal:
    book, held_quantity = risk.book, compute_market_value(risk.book)
    is_buy = risk.order.side == "BUY"
    high = held_quantity + book.buy_value + (added_value if is_buy else 0)
    low = held_quantity - book.sell_value - (0 if is_buy else added_value)
    return max(abs(high), abs(low))
