"""The execution at a broker of two orders that share one quantity."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.brokers.rules.values import BrokerOrder, OrderType

STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


class Pairing(StrEnum):
    """The party that ensures that two orders do not fill more than the quantity that they share."""

    NATIVE = "native"  # both rest at the broker, which reduces or cancels the other one
    TOGETHER = "together"  # one request sends both, also with the entry that they protect
    EMULATED = "emulated"  # the stop works at the broker; the limit order is sent in its place at its price


class OrderLink(NamedTuple):
    """A leg and the order in whose request it was sent. It was sent after `created_at`.

    A leg that `has_ended` here may have a fill that an earlier process did not read.
    """

    primary_id: str
    leg_id: str
    is_stop: bool
    created_at: datetime
    has_ended: bool = False


def is_stop_order(order: BrokerOrder) -> bool:
    """Return whether an order is a stop. The stop of an emulated pair works at the broker first."""
    return order.kind in STOPS


def find_pair_refusal(orders: Collection[BrokerOrder]) -> str | None:
    """Return why a pair cannot be emulated and what to do, or None if it can.

    A single order needs no emulation. A pair needs one stop and one limit order of the same side.
    """
    if len(orders) < 2:
        return None
    stops = [order for order in orders if is_stop_order(order)]
    limit_orders = [order for order in orders if order.kind is OrderType.LIMIT]
    if len(orders) == 2 and len(stops) == len(limit_orders) == 1 and stops[0].side == limit_orders[0].side:
        return None
    return (
        "This broker cannot link these two orders: send one LIMIT order and one stop order of the same side, "
        "or each order by itself."
    )
