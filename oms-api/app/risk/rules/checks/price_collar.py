"""Check that an aggressive price is close to the market. Stops and passive limits are not checked."""

from decimal import Decimal

from app.money import format_grouped_amount, multiply
from app.risk.rules.exposure import find_order_price, get_reference_price
from app.risk.rules.values import Denial, RiskInput

_HUNDRED = Decimal(100)
_COLLARED_TYPES = frozenset({"MARKET", "LIMIT"})


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a BUY too far above or a SELL too far below the reference price, and both without a reference."""
    order, percent = risk.order, risk.limits.price_collar_percent
    if percent is None or order.type not in _COLLARED_TYPES:
        return None
    price, middle = find_order_price(order, risk.prices), get_reference_price(risk.prices)
    if price is None or middle is None:
        return Denial(
            "NO_REFERENCE_PRICE",
            f"There is no market price of {order.symbol} to compare with; publish a quote.",
        )
    is_buy, bound = order.side == "BUY", _compute_bound(order.side, middle, percent)
    if price <= bound if is_buy else price >= bound:
        return None
    side = "above" if is_buy else "below"
    sentence = (
        f"{format_grouped_amount(price)} is more than {format_grouped_amount(percent)}% {side} "
        f"the market at {format_grouped_amount(middle)}."
    )
    return Denial("PRICE_COLLAR", sentence, bound, price)


def compute_price_bound(risk: RiskInput) -> Decimal | None:
    """Return the highest limit price of a BUY or the lowest of a SELL, None if there is no bound."""
    middle, percent = get_reference_price(risk.prices), risk.limits.price_collar_percent
    if risk.order.type != "LIMIT" or middle is None or percent is None:
        return None
    return _compute_bound(risk.order.side, middle, percent)


def _compute_bound(side: str, middle: Decimal, percent: Decimal) -> Decimal:
    return multiply(middle, (_HUNDRED + percent if side == "BUY" else _HUNDRED - percent) / _HUNDRED)
