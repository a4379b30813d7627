"""What Kite can execute. Orders outside of this table are refused before anything is sent.

Source: kite.trade/docs/connect/v3/orders. A replacement is emulated: see `ZerodhaBroker.replace`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.linked_orders import Pairing
from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce
from app.ledger.rules.accounting import Side

DELIVERY, INTRADAY, CARRIED = "CNC", "MIS", "NRML"
_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})


class ZerodhaSegment(StrEnum):
    """The kinds of markets at Kite."""

    EQUITY = "shares"
    DERIVATIVES = "derivatives"


class ZerodhaCapabilities(NamedTuple):
    """What is possible in a segment. The first product is used for orders without one."""

    products: tuple[str, ...]
    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    products_to_short: frozenset[str]
    has_fractions: bool
    has_extended_hours: bool
    pairing: Pairing
    can_replace: bool


_ORDER_TYPES = frozenset(OrderType) - {OrderType.TRAILING_STOP}
_TIMES_IN_FORCE = frozenset({TimeInForce.DAY, TimeInForce.IOC})
CAPABILITIES = {
    ZerodhaSegment.EQUITY: ZerodhaCapabilities(
        products=(DELIVERY, INTRADAY),
        order_types=_ORDER_TYPES,
        times_in_force=_TIMES_IN_FORCE,
        products_to_short=frozenset({INTRADAY}),
        has_fractions=False,
        has_extended_hours=False,
        pairing=Pairing.EMULATED,
        can_replace=True,  # by a cancel and a new order
    ),
    ZerodhaSegment.DERIVATIVES: ZerodhaCapabilities(
        products=(CARRIED, INTRADAY),
        order_types=_ORDER_TYPES,
        times_in_force=_TIMES_IN_FORCE,
        products_to_short=frozenset({CARRIED, INTRADAY}),
        has_fractions=False,
        has_extended_hours=False,
        pairing=Pairing.EMULATED,
        can_replace=True,
    ),
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
    """Return the product of an order: the given one, else the one that is carried overnight."""
    return order.product or CAPABILITIES[get_segment(order)].products[0]


def needs_holding(order: BrokerOrder) -> bool:
    """Return whether Kite executes the order only out of a position that the account has."""
    able = CAPABILITIES[get_segment(order)]
    return order.side is Side.SELL and choose_product(order) not in able.products_to_short


def get_pairing(order: BrokerOrder) -> Pairing:
    """Return how a pair with this order is executed."""
    return CAPABILITIES[get_segment(order)].pairing


def find_refusal(order: BrokerOrder) -> str | None:
    """Return why Kite cannot execute an order and what to do, or None if it can."""
    segment = get_segment(order)
    able = CAPABILITIES[segment]
    exchange, product = choose_exchange(order), choose_product(order)
    if exchange not in EXCHANGES:
        return f"Zerodha has no exchange {exchange}: set the instrument's exchange to {_list(EXCHANGES)}."
    if product not in able.products:
        return f"Zerodha has no product {product} for {segment}: use {_list(able.products)}."
    return _find_terms_refusal(order, able)


def _find_terms_refusal(order: BrokerOrder, able: ZerodhaCapabilities) -> str | None:
    if order.kind not in able.order_types:
        return f"Zerodha has no {order.kind} orders: use {_list(able.order_types)}."
    if order.time_in_force not in able.times_in_force:
        return f"Zerodha has no {order.time_in_force} orders: use {_list(able.times_in_force)}."
    if order.time_in_force is TimeInForce.IOC and order.kind not in _WITHOUT_STOP:
        return f"Zerodha's IOC orders must be {_list(_WITHOUT_STOP)}."
    if order.extended_hours and not able.has_extended_hours:
        return "Zerodha has no extended hours: send the order without `extended_hours`."
    return "Zerodha takes whole quantities only." if order.quantity % 1 else None


def find_replacement_refusal(order: BrokerOrder, successor: BrokerOrder) -> str | None:
    """Return why an order cannot be replaced by `successor`, or None if it can."""
    if (order.symbol, order.side) != (successor.symbol, successor.side):
        return "The symbol and the side of an order cannot change: cancel it and send another one."
    return find_refusal(successor)


def _list(names: Iterable[str]) -> str:
    *rest, last = sorted(str(name) for name in names)
    return f"{', '.join(rest)} or {last}" if rest else last
