"""Find the nearest passing price when an order was denied for its price."""

from decimal import Decimal

from app.money import ZERO, round_down_to_step, round_to_nearest_step, round_up_to_step
from app.risk.rules.checks.price_collar import compute_price_bound
from app.risk.rules.values import Denial, RiskInput

PRICE_CODES = frozenset({"TICK_SIZE", "PRICE_RANGE", "PRICE_COLLAR"})
_FINEST = Decimal("0.00000001")


def find_nearest_price(risk: RiskInput, denial: Denial) -> Decimal | None:
    """Return the price nearest to the denied one that passes tick size, price range and collar.

    None if the denial has another cause, the order has no price of its own, or no price passes.
    """
    denied_price, order = denial.asked, risk.order
    if denial.code not in PRICE_CODES or not isinstance(denied_price, Decimal):
        return None
    if denied_price not in {order.limit_price, order.stop_price}:
        return None
    tick = risk.instrument.tick_size if risk.instrument else _FINEST
    low, high = _compute_bounds(risk, is_limit=denied_price == order.limit_price)
    price = round_to_nearest_step(denied_price, tick)
    if high is not None and price > high:
        price = round_down_to_step(high, tick)
    if low is not None and price < low:
        price = round_up_to_step(low, tick)
    is_within = (high is None or price <= high) and (low is None or price >= low)
    return price if price > ZERO and is_within else None


def _compute_bounds(risk: RiskInput, *, is_limit: bool) -> tuple[Decimal | None, Decimal | None]:
    """Return the lowest and highest price within the price range and, for a limit price, the collar."""
    low, high = risk.limits.min_price, risk.limits.max_price
    bound = compute_price_bound(risk) if is_limit else None
    if bound is None:
        return low, high
    if risk.order.side == "BUY":
        return low, bound if high is None else min(high, bound)
    return bound if low is None else max(low, bound), high
