"""Orders as Kite's forms. Amounts are texts without an exponent."""

from decimal import Decimal

from app.brokers.rules.values import BrokerOrder, OrderType
from app.brokers.zerodha.rules.capabilities import choose_exchange, choose_product
from app.money import format_plain_amount

OrderForm = dict[str, str]
ORDER_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "SL-M",
    OrderType.STOP_LIMIT: "SL",
}
# Kite rejects MARKET and SL-M orders without it, although its documentation calls it optional. -1 lets Kite
# choose the protection.
AUTOMATIC_PROTECTION = "-1"


def build_order(order: BrokerOrder, quantity: Decimal, tag: str) -> OrderForm:
    """Return the form of POST /orders/regular."""
    form = {
        "exchange": choose_exchange(order),
        "tradingsymbol": order.symbol,
        "transaction_type": order.side.value,
        "order_type": ORDER_TYPES[order.type],
        "quantity": format_plain_amount(quantity),
        "product": choose_product(order),
        "validity": order.time_in_force.value,
        "tag": tag,
    }
    if order.limit_price is not None:
        form["price"] = format_plain_amount(order.limit_price)
    else:
        form["market_protection"] = AUTOMATIC_PROTECTION
    if order.stop_price is not None:
        form["trigger_price"] = format_plain_amount(order.stop_price)
    return form
