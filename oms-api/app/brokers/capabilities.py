"""What each broker can execute, by the broker's name: the tables of the adapters, without the adapters."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.brokers.alpaca.rules import capabilities as alpaca
from app.brokers.ibkr.rules import capabilities as ibkr
from app.brokers.kite.rules import capabilities as kite
from app.brokers.rules.connections import BrokerName
from app.brokers.rules.linked_orders import Pairing, find_pair_refusal, is_resting
from app.brokers.rules.values import BrokerOrder, TimeInForce


class BrokerTable(NamedTuple):
    """The functions of an adapter's table."""

    find_refusal: Callable[[BrokerOrder], str | None]
    get_pairing: Callable[[BrokerOrder], Pairing]


TABLES: dict[str, BrokerTable] = {
    BrokerName.ALPACA: BrokerTable(alpaca.find_refusal, alpaca.get_pairing),
    BrokerName.IBKR: BrokerTable(ibkr.find_refusal, ibkr.get_pairing),
    BrokerName.ZERODHA: BrokerTable(kite.find_refusal, kite.get_pairing),
}


def is_watched(broker: str, order: BrokerOrder) -> bool:
    """Return whether an order of a pair is watched by us instead of resting at the broker."""
    return TABLES[broker].get_pairing(order) is Pairing.EMULATED and not is_resting(order)


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
    is_emulated = any(table.get_pairing(order) is Pairing.EMULATED for order in orders)
    return find_pair_refusal(orders) if is_emulated else None
