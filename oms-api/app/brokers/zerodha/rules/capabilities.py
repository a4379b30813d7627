"""The orders that Kite can execute. Orders outside of this table are refused before anything is sent.

Source: kite.trade/docs/connect/v3/orders. A replacement is emulated: see `ZerodhaBroker.replace`.
"""

from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce, list_options
from app.ledger.rules.accounting import Side

DELIVERY, INTRADAY, CARRIED = "CNC", "MIS", "NRML"
_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})


class ZerodhaSegment(StrEnum):
    """The kinds of markets at Kite."""

    EQUITY = "shares"
    DERIVATIVES = "derivatives"


class ProductTable(NamedTuple):
    """The products of a segment. The first one is used for orders without a product."""

    products: tuple[str, ...]
    products_to_short: frozenset[str]


_ORDER_TYPES = frozenset(OrderType) - {OrderType.TRAILING_STOP}
_TIMES_IN_FORCE = frozenset({TimeInForce.DAY, TimeInForce.IOC})
PRODUCTS = {
    ZerodhaSegment.EQUITY: ProductTable((DELIVERY, INTRADAY), frozenset({INTRADAY})),
    ZerodhaSegment.DERIVATIVES: ProductTable((CARRIED, INTRADAY), frozenset({CARRIED, INTRADAY})),
}
_EXCHANGES = {"": "NSE", "XNSE": "NSE", "XBOM": "BSE"}
_SHARE_EXCHANGES = frozenset({"NSE", "BSE"})
EXCHANGES = (*sorted(_SHARE_EXCHANGES), "NFO", "BFO", "CDS", "BCD", "MCX")


def choose_exchange(order: BrokerOrder) -> str:
    """Return Kite's name of the order's exchange, NSE if the instrument names none."""
    return _EXCHANGES.get(order.exchange, order.exchange)


def get_segment(order: BrokerOrder) -> ZerodhaSegment:
    """Return the segment of an order."""
    return ZerodhaSegment.EQUITY if choose_exchange(order) in _SHARE_EXCHANGES else ZerodhaSegment.DERIVATIVES


def choose_product(order: BrokerOrder) -> str:
    """Return the product of an order: the given one, else the product for overnight positions."""
    return order.product or PRODUCTS[get_segment(order)].products[0]


def needs_holding(order: BrokerOrder) -> bool:
    """Return whether Kite executes the order only out of a position that the account has."""
    products_to_short = PRODUCTS[get_segment(order)].products_to_short
    return order.side is Side.SELL and choose_product(order) not in products_to_short


def get_oco_support(_: BrokerOrder) -> OcoSupport:
    """Return how a pair of orders is executed: Kite links no orders."""
    return OcoSupport.EMULATED


def find_refusal(order: BrokerOrder) -> str | None:
    """Return why Kite cannot execute an order and what to do, or None if it can."""
    segment = get_segment(order)
    products = PRODUCTS[segment].products
    exchange, product = choose_exchange(order), choose_product(order)
    if exchange not in EXCHANGES:
        names = list_options(EXCHANGES)
        return f"Zerodha has no exchange {exchange}: set the instrument's exchange to {names}."
    if product not in products:
        return f"Zerodha has no product {product} for {segment}: use {list_options(products)}."
    return _find_terms_refusal(order)


def _find_terms_refusal(order: BrokerOrder) -> str | None:
    if order.type not in _ORDER_TYPES:
        return f"Zerodha has no {order.type} orders: use {list_options(_ORDER_TYPES)}."
    if order.time_in_force not in _TIMES_IN_FORCE:
        return f"Zerodha has no {order.time_in_force} orders: use {list_options(_TIMES_IN_FORCE)}."
    if order.time_in_force is TimeInForce.IOC and order.type not in _WITHOUT_STOP:
        return f"Zerodha's IOC orders must be {list_options(_WITHOUT_STOP)}."
    if order.extended_hours:
        return "Zerodha has no extended hours: send the order without `extended_hours`."
    return "Zerodha takes whole quantities only." if order.quantity % 1 else None


def find_replacement_refusal(order: BrokerOrder, successor: BrokerOrder) -> str | None:
    """Return why an order cannot be replaced by `successor`, or None if it can."""
    if (order.symbol, order.side) != (successor.symbol, successor.side):
        return "The symbol and the side of an order cannot change: cancel it and send another one."
    return find_refusal(successor)
