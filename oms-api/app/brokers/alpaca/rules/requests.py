"""Orders as Alpaca's requests. Amounts are texts without an exponent."""

from decimal import Decimal

from app.brokers.alpaca.rules.capabilities import AssetClass, get_asset_class
from app.brokers.rules.values import BrokerOrder
from app.money import fixed, quantity_text

Body = dict[str, str | bool]
_PRICES = ("limit_price", "stop_price", "trail_percent")


def build_order(order: BrokerOrder) -> Body:
    """Return the body of POST /v2/orders. Our id is the client order id."""
    body: Body = {
        "client_order_id": order.id,
        "symbol": order.symbol,
        "qty": format_amount(order.quantity),
        "side": order.side.lower(),
        "type": order.kind.lower(),
        "time_in_force": order.time_in_force.lower(),
    }
    if order.extended_hours and get_asset_class(order.symbol) is AssetClass.EQUITY:
        body["extended_hours"] = True
    return body | _build_prices(order, "trail_price")


def build_replacement(successor: BrokerOrder, leaves: Decimal) -> Body:
    """Return the body of PATCH /v2/orders/{id}.

    Alpaca creates a new order of the quantity in the request. Fills of the old order do not count towards it,
    so the request has the unfilled quantity `leaves`.
    """
    body: Body = {
        "client_order_id": successor.id,
        "time_in_force": successor.time_in_force.lower(),
    }
    if not leaves % 1:
        body["qty"] = format_amount(leaves)
    prices = _build_prices(successor, "trail")
    if "trail_percent" in prices:
        prices["trail"] = prices.pop("trail_percent")
    return body | prices


def format_amount(amount: Decimal) -> str:
    """Return 10 as "10" and 10.50 as "10.5"."""
    return quantity_text(fixed(amount))


def _build_prices(order: BrokerOrder, trail_name: str) -> Body:
    prices = {name: getattr(order, name) for name in _PRICES} | {trail_name: order.trail_amount}
    return {name: format_amount(price) for name, price in prices.items() if price is not None}
