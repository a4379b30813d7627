"""Check the net exposure: long minus short positions, including working orders."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import (
    compute_market_value,
    compute_order_value,
    convert_to_firm_currency,
    find_order_price,
)
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that could move the portfolio's, or the firm's, net exposure beyond its limit."""
    limit, firm_limit = risk.limits.max_net_exposure, risk.limits.firm_net_exposure
    if limit is None and firm_limit is None:
        return None
    price = find_order_price(risk.order, risk.prices)
    if price is None:
        return None
    net = _compute_net(risk) + compute_order_value(quantity, price, risk.symbol_exposure.rate)
    if limit is not None and net > limit:
        sentence = f"The net exposure of a portfolio may be at most {format_grouped_amount(limit)}."
        return Denial("MAX_NET_EXPOSURE", sentence, limit, net)
    other_exposure = risk.firm.net_high if risk.order.side == "BUY" else -risk.firm.net_low
    net = convert_to_firm_currency(net, risk.firm_rate) + other_exposure
    if firm_limit is not None and net > firm_limit:
        sentence = f"The net exposure of all portfolios may be at most {format_grouped_amount(firm_limit)}."
        return Denial("FIRM_NET_EXPOSURE", sentence, firm_limit, net)
    return None


def _compute_net(risk: RiskInput) -> Decimal:
    """Return the portfolio's exposure in the direction of the order's side, before the order."""
    exposure, held_quantity = risk.symbol_exposure, compute_market_value(risk.symbol_exposure)
    if risk.order.side == "BUY":
        return risk.other_exposure.net_high + held_quantity + exposure.buy_value
    return exposure.sell_value - held_quantity - risk.other_exposure.net_low
