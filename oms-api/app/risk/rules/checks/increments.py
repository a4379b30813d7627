"""Check that quantities are multiples of the lot size and prices of the tick size."""

from decimal import Decimal

from app.money import ZERO, format_grouped_amount
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a quantity off the lot size or a price off the tick size. A closing order may be an odd lot."""
    instrument, order = risk.instrument, risk.order
    if instrument is None:
        return None
    for price in (order.limit_price, order.stop_price):
        if price is not None and price % instrument.tick_size:
            tick = instrument.tick_size
            return Denial(
                "TICK_SIZE",
                f"Prices of {order.symbol} must be multiples of the tick size {format_grouped_amount(tick)}.",
                tick,
                price,
            )
    is_odd = quantity % instrument.lot_size and not order.is_closing
    if is_odd or quantity <= ZERO:
        lot = instrument.lot_size
        return Denial(
            "LOT_SIZE",
            f"Quantities of {order.symbol} must be multiples of the lot size {format_grouped_amount(lot)}.",
            lot,
            quantity,
        )
    return None
