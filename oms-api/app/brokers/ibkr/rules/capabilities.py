"""The orders that the adapter can send to IBKR.

Orders outside of this table are refused before anything is sent.

Source: the TWS API documentation, "Order Types" and "Time in Force".
"""

from typing import NamedTuple

from app.brokers.ibkr.rules.contracts import FOREX, STOCK, find_contract
from app.brokers.rules.linked_orders import OcoSupport
from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce, list_options

_AUCTIONS = frozenset({TimeInForce.OPG, TimeInForce.CLS})
_WITHOUT_STOP = frozenset({OrderType.MARKET, OrderType.LIMIT})
_LASTING = frozenset({TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD})
_CONTINUOUS = _LASTING | {TimeInForce.IOC}


class IbkrCapabilities(NamedTuple):
    """The terms of orders that are possible for a kind of contract. All our order types are possible.

    Without `fraction_types` quantities are whole.
    """

    times_in_force: frozenset[TimeInForce]
    fraction_types: frozenset[OrderType]
    fraction_times_in_force: frozenset[TimeInForce]


CAPABILITIES = {
    STOCK: IbkrCapabilities(
        times_in_force=_CONTINUOUS | {TimeInForce.FOK} | _AUCTIONS,
        fraction_types=_WITHOUT_STOP,  # IBKR rejects them from accounts that have not asked for them
        fraction_times_in_force=frozenset({TimeInForce.DAY}),
    ),
    FOREX: IbkrCapabilities(
        times_in_force=_CONTINUOUS,
        fraction_types=frozenset(),
        fraction_times_in_force=frozenset(),
    ),
}


def get_oco_support(_: BrokerOrder) -> OcoSupport:
    """Return how a pair of orders is executed: in an OCA group of IBKR."""
    return OcoSupport.NATIVE


def can_carry_exits(order: BrokerOrder) -> bool:
    """Return whether TWS takes the exits of an entry attached to it. Orders that end at once have none."""
    return not order.quantity % 1 and order.time_in_force in _LASTING


def find_refusal(order: BrokerOrder) -> str | None:
    """Return why IBKR cannot execute an order and what to do, or None if it can."""
    contract = find_contract(order.symbol, order.asset_class, order.currency, order.exchange)
    if contract is None:
        return "Over IBKR, stocks, ETFs and currency pairs can be traded: set the instrument's asset class."
    capabilities = CAPABILITIES[contract.sec_type]
    if order.time_in_force not in capabilities.times_in_force:
        names = list_options(capabilities.times_in_force)
        return f"Over IBKR there are no {order.time_in_force} orders for it: use {names}."
    if order.time_in_force in _AUCTIONS and order.type not in _WITHOUT_STOP:
        return f"IBKR's {order.time_in_force} orders must be {list_options(_WITHOUT_STOP)}."
    if order.extended_hours and (order.type is not OrderType.LIMIT or order.time_in_force not in _LASTING):
        return f"Outside of regular hours IBKR takes LIMIT orders that are {list_options(_LASTING)}."
    return _find_fraction_refusal(order, capabilities) if order.quantity % 1 else None


def _find_fraction_refusal(order: BrokerOrder, capabilities: IbkrCapabilities) -> str | None:
    if (
        order.type in capabilities.fraction_types
        and order.time_in_force in capabilities.fraction_times_in_force
    ):
        return None
    if not capabilities.fraction_types:
        return "Over IBKR there are no fractions of it: use a whole quantity."
    types, times_in_force = (
        list_options(capabilities.fraction_types),
        list_options(capabilities.fraction_times_in_force),
    )
    return f"IBKR takes fractions in {types} orders that are {times_in_force} only: use a whole quantity."


def find_replacement_refusal(order: BrokerOrder, successor: BrokerOrder) -> str | None:
    """Return why IBKR cannot change an order to `successor`, or None if it can."""
    if (order.symbol, order.side, order.type) != (successor.symbol, successor.side, successor.type):
        return "IBKR cannot change the symbol, side or type of an order: cancel it and send another one."
    return find_refusal(successor)
