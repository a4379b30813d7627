"""The orders that Alpaca can execute. Orders outside of this table are refused before anything is sent.

Source: docs.alpaca.markets, "Placing orders", "Crypto orders" and "Fractional trading".
"""

from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.rules.order_reports import OrderReport
from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce, list_options

_AUCTION_TIMES_IN_FORCE = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_TYPES_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})
_EXTENDED_HOURS_TIMES_IN_FORCE = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_LINKED_TIMES_IN_FORCE = frozenset({TimeInForce.DAY, TimeInForce.GTC})
_LINKED_EXIT_TYPES = frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT})


class AlpacaAssetClass(StrEnum):
    """Alpaca's names of the asset classes."""

    EQUITY = "us_equity"
    CRYPTO = "crypto"


class AlpacaCapabilities(NamedTuple):
    """The order types and times in force that are possible for an asset class.

    `oco_support` is how a pair is executed.
    """

    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    fraction_types: frozenset[OrderType]
    fraction_times_in_force: frozenset[TimeInForce]
    oco_support: OcoSupport


_EQUITY_TIMES_IN_FORCE = frozenset(TimeInForce) - {TimeInForce.GTD}
_CRYPTO_TYPES = _TYPES_WITHOUT_STOP | {OrderType.STOP_LIMIT}
_CRYPTO_TIMES_IN_FORCE = frozenset({TimeInForce.GTC, TimeInForce.IOC})

CAPABILITIES = {
    AlpacaAssetClass.EQUITY: AlpacaCapabilities(
        order_types=frozenset(OrderType),
        times_in_force=_EQUITY_TIMES_IN_FORCE,
        fraction_types=frozenset(OrderType) - {OrderType.TRAILING_STOP},
        fraction_times_in_force=frozenset({TimeInForce.DAY}),
        oco_support=OcoSupport.ONE_REQUEST,
    ),
    AlpacaAssetClass.CRYPTO: AlpacaCapabilities(
        order_types=_CRYPTO_TYPES,
        times_in_force=_CRYPTO_TIMES_IN_FORCE,
        fraction_types=_CRYPTO_TYPES,
        fraction_times_in_force=_CRYPTO_TIMES_IN_FORCE,
        oco_support=OcoSupport.EMULATED,
    ),
}


def get_asset_class(symbol: str) -> AlpacaAssetClass:
    """Return the asset class of a symbol. Pairs like BTC/USD are crypto."""
    return AlpacaAssetClass.CRYPTO if "/" in symbol else AlpacaAssetClass.EQUITY


def get_oco_support(order: BrokerOrder) -> OcoSupport:
    """Return how a pair with this order is executed: fractions and orders of extended hours are emulated."""
    oco_support = CAPABILITIES[get_asset_class(order.symbol)].oco_support
    return oco_support if order.type in _LINKED_EXIT_TYPES and _is_linkable(order) else OcoSupport.EMULATED


def can_carry_exits(order: BrokerOrder) -> bool:
    """Return whether Alpaca takes the exits of an entry in the entry's request."""
    is_linked = CAPABILITIES[get_asset_class(order.symbol)].oco_support is OcoSupport.ONE_REQUEST
    return is_linked and order.type in _TYPES_WITHOUT_STOP and _is_linkable(order)


def _is_linkable(order: BrokerOrder) -> bool:
    is_whole = not order.quantity % 1
    return is_whole and not order.extended_hours and order.time_in_force in _LINKED_TIMES_IN_FORCE


def find_refusal(order: BrokerOrder) -> str | None:
    """Return why Alpaca cannot execute an order and what to do, or None if it can."""
    asset_class = get_asset_class(order.symbol)
    capabilities = CAPABILITIES[asset_class]
    if order.type not in capabilities.order_types:
        names = list_options(capabilities.order_types)
        return f"Alpaca has no {order.type} orders for {asset_class}: use {names}."
    if order.time_in_force not in capabilities.times_in_force:
        names = list_options(capabilities.times_in_force)
        return f"Alpaca has no {order.time_in_force} orders for {asset_class}: use {names}."
    if order.time_in_force in _AUCTION_TIMES_IN_FORCE and order.type not in _TYPES_WITHOUT_STOP:
        return f"Alpaca's {order.time_in_force} orders must be {list_options(_TYPES_WITHOUT_STOP)}."
    if asset_class is AlpacaAssetClass.EQUITY and order.extended_hours:
        is_possible = order.type is OrderType.LIMIT and order.time_in_force in _EXTENDED_HOURS_TIMES_IN_FORCE
        if not is_possible:
            names = list_options(_EXTENDED_HOURS_TIMES_IN_FORCE)
            return f"Outside of regular hours Alpaca takes LIMIT orders that are {names}."
    return _find_fraction_refusal(order, capabilities) if order.quantity % 1 else None


def find_replacement_refusal(order: BrokerOrder, successor: BrokerOrder) -> str | None:
    """Return why Alpaca cannot replace an order by `successor`, or None if it can."""
    if (order.symbol, order.side, order.type) != (successor.symbol, successor.side, successor.type):
        return "Alpaca cannot change the symbol, side or type of an order: cancel it and send another one."
    if order.quantity % 1 and successor.quantity != order.quantity:
        return "Alpaca cannot change the quantity of a fractional order: cancel it and send another one."
    return find_refusal(successor)


def find_linked_replacement_refusal(order: OrderReport, successor: BrokerOrder) -> str | None:
    """Return why Alpaca cannot replace one of several linked orders by `successor`, or None if it can."""
    if order.filled:
        return "Alpaca cannot change a linked order that has filled in part: cancel it and send another one."
    if successor.quantity != order.quantity:
        return "Alpaca changes only the prices of linked orders: cancel the order and send another one."
    return None


def _find_fraction_refusal(order: BrokerOrder, capabilities: AlpacaCapabilities) -> str | None:
    if order.type not in capabilities.fraction_types:
        names = list_options(capabilities.fraction_types)
        return f"Alpaca takes fractions in {names} orders only: use a whole quantity."
    if order.time_in_force not in capabilities.fraction_times_in_force:
        names = list_options(capabilities.fraction_times_in_force)
        return f"Alpaca takes fractions in {names} orders only: use a whole quantity or {names}."
    return None
