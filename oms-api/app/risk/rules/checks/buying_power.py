"""Check buying power = cash − 1.5 × |shorts| − open buys − 0.5 × the shorting part of open sells."""

from decimal import Decimal

from app.money import ZERO, product
from app.risk.rules.exposure import get_reducible_quantity, market_value, price_of, value_of
from app.risk.rules.values import Denial, RiskInput
from app.risk.rules.words import format_amount

SHORT_MARGIN = Decimal("1.5")  # per value of a short position: its proceeds, and half of it again
SHORTING_MARGIN = Decimal("0.5")  # per value of an open short order: its proceeds come with the fill


def buying_power(risk: RiskInput) -> Decimal:
    """Return the amount that the portfolio can still spend before the order, in its currency."""
    shorts = risk.other_exposure.shorts + max(-market_value(risk.book), ZERO)
    shorting = risk.other_exposure.shorting_value + risk.book.shorting_value
    buys = risk.other_exposure.buy_value + risk.book.buy_value
    return risk.cash - product(SHORT_MARGIN, shorts) - buys - product(SHORTING_MARGIN, shorting)


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that the buying power does not cover. Reducing a position needs none."""
    order, price = risk.order, price_of(risk.order, risk.prices)
    free = get_reducible_quantity(risk.book, order.side)
    if price is None or quantity <= free:
        return None
    if order.side == "BUY":
        needed = value_of(quantity, price, risk.book.rate)
    else:
        needed = product(SHORTING_MARGIN, value_of(quantity - free, price, risk.book.rate))
    power = buying_power(risk)
    if needed <= power:
        return None
    return Denial(
        "BUYING_POWER",
        f"The order needs {format_amount(needed)} of buying power, and {format_amount(power)} is available.",
        power,
        needed,
    )
