"""The orders that each broker can execute, by its name: the tables of the adapters, without the adapters."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.brokers.alpaca.rules import capabilities as alpaca
from app.brokers.ibkr.rules import capabilities as ibkr
from app.brokers.rules.connections import BrokerName
from app.brokers.rules.linked_orders import Pairing, find_pair_refusal, is_stop_order
from app.brokers.rules.values import BrokerOrder, TimeInForce
from app.brokers.zerodha.rules import capabilities as zerodha


class BrokerTable(NamedTuple):
    """The functions of an adapter's table."""

    find_refusal: Callable[[BrokerOrder], str | None]
    get_pairing: Callable[[BrokerOrder], Pairing]
    can_carry_exits: Callable[[BrokerOrder], bool]


def _can_carry_none(_: BrokerOrder) -> bool:
    return False


TABLES: dict[str, BrokerTable] = {
    BrokerName.ALPACA: BrokerTable(alpaca.find_refusal, alpaca.get_pairing, alpaca.can_carry_exits),
    BrokerName.IBKR: BrokerTable(ibkr.find_refusal, ibkr.get_pairing, ibkr.can_carry_exits),
    BrokerName.ZERODHA: BrokerTable(zerodha.find_refusal, zerodha.get_pairing, _can_carry_none),
}


def choose_pairing(broker: str, order: BrokerOrder, *, is_exit: bool) -> Pairing:
    """Return how a pair with this order is executed. One request takes only the exits of a position."""
    pairing = TABLES[broker].get_pairing(order)
    return Pairing.EMULATED if pairing is Pairing.TOGETHER and not is_exit else pairing


def is_emulated_limit(broker: str, order: BrokerOrder, *, is_exit: bool) -> bool:
    """Return whether an order is the limit order of an emulated pair; the service sends it at its price."""
    is_emulated = choose_pairing(broker, order, is_exit=is_exit) is Pairing.EMULATED
    return is_emulated and not is_stop_order(order)


def choose_exit_time(broker: str, order: BrokerOrder) -> TimeInForce:
    """Return the time in force with which an exit is sent: its own, or DAY where the broker lacks that one.

    An exit that is sent for a day is sent again on the next one.
    """
    find_refusal = TABLES[broker].find_refusal
    for_a_day = order._replace(time_in_force=TimeInForce.DAY)
    if find_refusal(order) is None or find_refusal(for_a_day) is not None:
        return order.time_in_force
    return TimeInForce.DAY


def find_linked_refusal(broker: str, orders: Sequence[BrokerOrder]) -> str | None:
    """Return why a broker cannot execute the exits of a group, or the orders of a pair; None if it can."""
    table = TABLES[broker]
    for order in orders:
        refusal = table.find_refusal(order)
        if refusal is not None:
            return refusal
    is_emulated = any(table.get_pairing(order) is not Pairing.NATIVE for order in orders)
    return find_pair_refusal(orders) if is_emulated else None
