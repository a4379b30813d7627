"""Check buying power = cash − 1.5 × |shorts| − open buys − 0.5 × the shorting part of open sells.

Buys, open ones and the order's own, count with their charges.
"""

from decimal import Decimal

from app.money import format_grouped_amount, product
from app.risk.rules.exposure import add_totals, get_reducible_quantity, price_of, total_of, value_of
from app.risk.rules.values import Denial, RiskInput, Totals

SHORT_MARGIN = Decimal("1.5")  # per value of a short position: its proceeds, and half of it again
SHORTING_MARGIN = Decimal("0.5")  # per value of an open short order: its proceeds come with the fill


def compute_buying_power(cash: Decimal, totals: Totals) -> Decimal:
    """Return the amount that a portfolio with these positions and open orders can spend, in its currency."""
    shorting = product(SHORTING_MARGIN, totals.shorting_value)
    buys = totals.buy_value + totals.buy_charges
    return cash - product(SHORT_MARGIN, totals.shorts) - buys - shorting


def buying_power(risk: RiskInput) -> Decimal:
    """Return the amount that the portfolio can still spend before the order, in its currency."""
    return compute_buying_power(risk.cash, add_totals(risk.other_exposure, total_of(risk.book)))


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that the buying power does not cover. Reducing a position needs none."""
    order, price = risk.order, price_of(risk.order, risk.prices)
    free = get_reducible_quantity(risk.book, order.side)
    if price is None or quantity <= free:
        return None
    if order.side == "BUY":
        needed = value_of(quantity, price, risk.book.rate) + risk.charges(quantity)
    else:
        needed = product(SHORTING_MARGIN, value_of(quantity - free, price, risk.book.rate))
    power = buying_power(risk)
    if needed <= power:
        return None
    return Denial(
        "BUYING_POWER",
        f"The order needs {format_grouped_amount(needed)} of buying power, "
        f"and {format_grouped_amount(power)} is available.",
        power,
        needed,
    )
