"""The outcome of a signal, by its order."""

from decimal import Decimal

from app.orders.rules.order_factory import OrderOrigin, new_order
from app.orders.rules.values import OrderType, Status, Ticket
from app.signals.rules.completion import find_outcome
from app.signals.rules.values import SignalStatus
from app.timestamps import Timestamp

AT = Timestamp("2026-11-20T12:00:00.000000Z")


def test_signal_whose_order_the_broker_rejected_is_rejected():
    ticket = Ticket("AAPL", "BUY", OrderType.MARKET, Decimal(1))
    order = new_order("O1", OrderOrigin(1, 7, "algo", None, AT), ticket, Decimal(1))
    assert find_outcome([order], "why") == (SignalStatus.ORDERED, "why", ("O1",))
    outcome = find_outcome([order._replace(status=Status.REJECTED)], None)
    assert outcome == (SignalStatus.REJECTED, "The broker rejected the order.", ("O1",))
