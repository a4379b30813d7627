"""Build the requests that send and replace orders at Alpaca.

Amounts are decimal strings without an exponent.
"""

from decimal import Decimal
from enum import StrEnum

from app.brokers.alpaca.rules.capabilities import AlpacaAssetClass, get_asset_class
from app.brokers.rules.values import BrokerOrder, OrderType
from app.money import format_plain_amount

OrderBody = dict[str, str | bool | dict[str, str]]
_PRICES = ("limit_price", "stop_price", "trail_percent")


class OrderClass(StrEnum):
    """Alpaca's classes of linked orders."""

    BRACKET = "bracket"  # an entry, a take-profit and a stop-loss
    OTO = "oto"  # an entry and one exit
    OCO = "oco"  # the two exits of a position


def build_order(order: BrokerOrder) -> OrderBody:
    """Return the body of POST /v2/orders. Our id is the client order id."""
    body: OrderBody = {
        "client_order_id": order.id,
        "symbol": order.symbol,
        "qty": format_plain_amount(order.quantity),
        "side": order.side.lower(),
        "type": order.type.lower(),
        "time_in_force": order.time_in_force.lower(),
    }
    if order.extended_hours and get_asset_class(order.symbol) is AlpacaAssetClass.EQUITY:
        body["extended_hours"] = True
    links = _build_links(order)
    prices = _build_prices(order, "trail_price") if links.get("order_class") != OrderClass.OCO else {}
    return body | prices | links


def build_replacement(successor: BrokerOrder, leaves: Decimal, *, is_linked: bool = False) -> OrderBody:
    """Return the body of PATCH /v2/orders/{id}. For linked orders, Alpaca changes only the prices.

    Alpaca creates a new order of the quantity in the request. Fills of the old order do not count towards it,
    so the request has the unfilled quantity `leaves`.
    """
    body: OrderBody = {"client_order_id": successor.id}
    if not is_linked:
        body["time_in_force"] = successor.time_in_force.lower()
    if not is_linked and not leaves % 1:
        body["qty"] = format_plain_amount(leaves)
    prices = _build_prices(successor, "trail")
    if "trail_percent" in prices:
        prices["trail"] = prices.pop("trail_percent")
    return body | prices


def _build_links(order: BrokerOrder) -> OrderBody:
    """Return the fields of the linked orders.

    Linked orders have no ids of their own. They have the order's time in force.
    """
    if not order.linked_orders:
        return {}
    is_pair = any(linked_order.side == order.side for linked_order in order.linked_orders)
    legs = (order, *order.linked_orders) if is_pair else order.linked_orders
    both = OrderClass.OCO if is_pair else OrderClass.BRACKET
    links: OrderBody = {"order_class": both.value if len(legs) > 1 else OrderClass.OTO.value}
    for leg in legs:
        name = "take_profit" if leg.type is OrderType.LIMIT else "stop_loss"
        prices = {"limit_price": leg.limit_price, "stop_price": leg.stop_price}
        links[name] = {key: format_plain_amount(price) for key, price in prices.items() if price is not None}
    return links


def _build_prices(order: BrokerOrder, trail_name: str) -> OrderBody:
    prices: dict[str, Decimal | None] = {name: getattr(order, name) for name in _PRICES}
    prices[trail_name] = order.trail_amount
    return {name: format_plain_amount(price) for name, price in prices.items() if price is not None}
