"""The orders that each broker can execute, by its name: the tables of the adapters, without the adapters."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.brokers.alpaca.rules import capabilities as alpaca
from app.brokers.ibkr.rules import capabilities as ibkr
from app.brokers.rules.connections import BrokerName
from app.brokers.rules.linked_orders import OcoSupport, find_pair_refusal, is_stop_order
from app.brokers.rules.values import BrokerOrder, TimeInForce
from app.brokers.zerodha.rules import capabilities as zerodha


class BrokerCapabilities(NamedTuple):
    """The functions of an adapter's table."""

    find_refusal: Callable[[BrokerOrder], str | None]
    get_oco_support: Callable[[BrokerOrder], OcoSupport]
    can_carry_exits: Callable[[BrokerOrder], bool]


def _can_carry_none(_: BrokerOrder) -> bool:
    return False


CAPABILITIES_BY_BROKER: dict[str, BrokerCapabilities] = {
    BrokerName.ALPACA: BrokerCapabilities(
        alpaca.find_refusal, alpaca.get_oco_support, alpaca.can_carry_exits
    ),
    BrokerName.IBKR: BrokerCapabilities(ibkr.find_refusal, ibkr.get_oco_support, ibkr.can_carry_exits),
    BrokerName.ZERODHA: BrokerCapabilities(zerodha.find_refusal, zerodha.get_oco_support, _can_carry_none),
}


def choose_oco_support(broker: str, order: BrokerOrder, *, is_exit: bool) -> OcoSupport:
    """Return how a pair with this order is executed. One request takes only the exits of a position."""
    oco_support = CAPABILITIES_BY_BROKER[broker].get_oco_support(order)
    return OcoSupport.EMULATED if oco_support is OcoSupport.ONE_REQUEST and not is_exit else oco_support


def is_emulated_limit(broker: str, order: BrokerOrder, *, is_exit: bool) -> bool:
    """Return whether an order is the limit order of an emulated pair; the service sends it at its price."""
    is_emulated = choose_oco_support(broker, order, is_exit=is_exit) is OcoSupport.EMULATED
    return is_emulated and not is_stop_order(order)


def choose_exit_time(broker: str, order: BrokerOrder) -> TimeInForce:
    """Return the time in force with which an exit is sent: its own, or DAY where the broker lacks that one.

    An exit that is sent for a day is sent again on the next one.
    """
    find_refusal = CAPABILITIES_BY_BROKER[broker].find_refusal
    for_a_day = order._replace(time_in_force=TimeInForce.DAY)
    if find_refusal(order) is None or find_refusal(for_a_day) is not None:
        return order.time_in_force
    return TimeInForce.DAY


def find_linked_refusal(broker: str, orders: Sequence[BrokerOrder]) -> str | None:
    """Return why a broker cannot execute the exits of a group, or the orders of a pair; None if it can."""
    table = CAPABILITIES_BY_BROKER[broker]
    for order in orders:
        refusal = table.find_refusal(order)
        if refusal is not None:
            return refusal
    is_emulated = any(table.get_oco_support(order) is not OcoSupport.NATIVE for order in orders)
    return find_pair_refusal(orders) if is_emulated else None
