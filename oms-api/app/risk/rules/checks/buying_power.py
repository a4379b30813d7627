"""Buying power = cash − 1.5 × |shorts| − open buys − 0.5 × the shorting part of open sells."""

from decimal import Decimal

from app.money import ZERO, product
from app.risk.rules.exposure import market_value, price_of, reducible, value_of
from app.risk.rules.values import Denial, RiskInput
from app.risk.rules.words import format_amount

SHORT_MARGIN = Decimal("1.5")  # of a short position's value: its proceeds, and half of it again
SHORTING_MARGIN = Decimal("0.5")  # of a short that is only ordered: its proceeds come with the fill


def buying_power(risk: RiskInput) -> Decimal:
    """Return what the portfolio may still spend, in its currency, before the order."""
    shorts = risk.elsewhere.shorts + max(-market_value(risk.book), ZERO)
    shorting = risk.elsewhere.shorting_value + risk.book.shorting_value
    buys = risk.elsewhere.buy_value + risk.book.buy_value
    return risk.cash - product(SHORT_MARGIN, shorts) - buys - product(SHORTING_MARGIN, shorting)


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny what the buying power does not cover. What only reduces a position needs none."""
    order, price = risk.order, price_of(risk.order, risk.prices)
    free = reducible(risk.book, order.side)
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
        f"This needs {format_amount(needed)} of buying power; there is {format_amount(power)}.",
        power,
        needed,
    )
