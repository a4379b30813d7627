"""Check that the price feed is alive for an order that takes its price from the market."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_reducible_quantity, needs_current_price
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that opens a position while the feed is silent.

    An order that only reduces a position passes, and waits for the next price.
    """
    silence, limit, order = risk.feed_silence, risk.max_feed_silence, risk.order
    if silence is None or silence <= limit or not needs_current_price(order, risk.prices):
        return None
    if order.is_closing or quantity <= get_reducible_quantity(risk.symbol_exposure, order.side):
        return None
    sentence = (
        f"The price feed of {order.symbol} has been silent for {format_grouped_amount(silence)} seconds, "
        "more than "
    )
    return Denial(
        "STALE_QUOTE",
        f"{sentence}{format_grouped_amount(limit)}. Send a limit order that does not cross, or wait.",
        limit,
        silence,
    )
