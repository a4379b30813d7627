"""Size orders whose ticket gives a notional instead of a quantity."""

from decimal import Decimal

from app.money import ZERO, divide, round_down_to_step
from app.orders.rules.values import Order, Ticket
from app.orders.service.batch.batch_context import BatchContext
from app.risk.rules.exposure import get_touch_price
from app.risk.rules.values import Denial, Prices

_NO_QUANTITY = "NO_QUANTITY"


def resolve_quantity(context: BatchContext, tenant_id: int, ticket: Ticket) -> Decimal:
    """Return the ticket's quantity.

    For a notional it is notional / ask, rounded down to the lot size; zero without a price.
    """
    if ticket.quantity is not None or ticket.notional is None:
        return ticket.quantity or ZERO
    quote = context.find_quote(tenant_id, ticket.symbol)
    price = get_touch_price("BUY", Prices(quote.bid, quote.ask, quote.last)) if quote else None
    if not price:
        return ZERO
    return round_down_to_step(
        _compute_max_quantity(ticket.notional, price),
        context.find_instrument(tenant_id, ticket.symbol).lot_size,
    )


def _compute_max_quantity(notional: Decimal, price: Decimal) -> Decimal:
    nearest = divide(notional, price)
    return nearest if nearest * price <= notional else nearest - Decimal("0.00000001")


def find_quantity_denial(order: Order) -> Denial | None:
    """Return the denial of an order whose notional gives no quantity, None for any other order."""
    if order.quantity:
        return None
    message = "The notional is less than one lot, or there is no price; send a larger notional or a quantity."
    return Denial(_NO_QUANTITY, message, asked=order.notional)
