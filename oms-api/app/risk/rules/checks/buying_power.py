"""Check buying power = cash − 1.5 × |shorts| − open buys − 0.5 × the shorting part of open sells.

Buys, open ones and the order's own, count with their charges.
"""

from decimal import Decimal

from app.money import format_grouped_amount, multiply
from app.risk.rules.exposure import (
    add_totals,
    compute_order_value,
    compute_totals,
    find_order_price,
    get_reducible_quantity,
)
from app.risk.rules.values import Denial, ExposureTotals, RiskInput

SHORT_MARGIN = Decimal("1.5")  # per value of a short position: its proceeds, and half of it again
SHORTING_MARGIN = Decimal("0.5")  # per value of an open short order: its proceeds come with the fill


def compute_buying_power(cash: Decimal, totals: ExposureTotals) -> Decimal:
    """Return the amount that a portfolio with these positions and open orders can spend, in its currency."""
    shorting = multiply(SHORTING_MARGIN, totals.shorting_value)
    buys = totals.buy_value + totals.buy_charges
    return cash - multiply(SHORT_MARGIN, totals.shorts) - buys - shorting


def compute_remaining_buying_power(risk: RiskInput) -> Decimal:
    """Return the amount that the portfolio can still spend before the order, in its currency."""
    return compute_buying_power(
        risk.cash, add_totals(risk.other_exposure, compute_totals(risk.symbol_exposure))
    )


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that the buying power does not cover. Reducing a position needs none."""
    order, price = risk.order, find_order_price(risk.order, risk.prices)
    free_cash = get_reducible_quantity(risk.symbol_exposure, order.side)
    if price is None or quantity <= free_cash:
        return None
    if order.side == "BUY":
        needed = compute_order_value(quantity, price, risk.symbol_exposure.rate) + risk.charges(quantity)
    else:
        needed = multiply(
            SHORTING_MARGIN, compute_order_value(quantity - free_cash, price, risk.symbol_exposure.rate)
        )
    power = compute_remaining_buying_power(risk)
    if needed <= power:
        return None
    return Denial(
        "BUYING_POWER",
        f"The order needs {format_grouped_amount(needed)} of buying power, "
        f"and {format_grouped_amount(power)} is available.",
        power,
        needed,
    )
