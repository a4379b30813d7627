"""The outcome of a signal, by its order."""

from datetime import timedelta
from decimal import Decimal

from app.orders.rules.order_factory import Placement, build_order_from_ticket
from app.orders.rules.values import OrderType, Status, Ticket
from app.signals.rules.completion import (
    build_outcome,
    build_ticket,
    choose_outcome_without_order,
    complete_signal,
)
from app.signals.rules.values import Signal, SignalChannel, SignalMode, SignalOutcome, SignalStatus, SizeKind
from app.timestamps import Timestamp
from tests.factories import NOON

AT = Timestamp("2026-11-20T12:00:00.000000Z")
FACTS = ("key", None, "momentum", 7, "AAPL", "BUY", SizeKind.QTY, Decimal(10), None, "why")
SIGNAL = Signal(1, 1, "s1", SignalChannel.REST, *FACTS, SignalMode.TRADE, None, "hash", NOON)


def test_signal_whose_order_the_broker_rejected_is_rejected():
    ticket = Ticket("AAPL", "BUY", OrderType.MARKET, Decimal(1))
    order = build_order_from_ticket("O1", Placement(1, 7, "algo", None, AT), ticket, Decimal(1))
    assert build_outcome([order], "why") == (SignalStatus.ORDERED, "why", ("O1",))
    outcome = build_outcome([order._replace(status=Status.REJECTED)], None)
    assert outcome == (SignalStatus.REJECTED, "The broker rejected the order.", ("O1",))


def test_signal_that_is_late_or_only_recorded_has_no_order():
    assert choose_outcome_without_order(SIGNAL, NOON) is None
    recorded = choose_outcome_without_order(SIGNAL._replace(mode=SignalMode.RECORD), NOON)
    assert recorded is not None
    assert recorded.status is SignalStatus.RECORDED
    late = choose_outcome_without_order(SIGNAL._replace(expires_at=NOON), NOON)
    assert late is not None
    assert late.status is SignalStatus.EXPIRED


def test_ticket_has_the_size_of_the_order_and_a_limit_if_a_price_was_sent():
    sized = SIGNAL._replace(order_side="SELL", quantity=Decimal(3))
    ticket = build_ticket(sized)
    assert (ticket.side, ticket.quantity, ticket.type) == ("SELL", Decimal(3), OrderType.MARKET)
    assert (ticket.reason, ticket.strategy, ticket.confirm_repeat) == ("why", "momentum", True)
    assert build_ticket(sized._replace(price=Decimal(5))).type is OrderType.LIMIT


def test_completed_signal_contains_its_latency():
    later = NOON + timedelta(milliseconds=12)
    signal = complete_signal(SIGNAL, SignalOutcome(SignalStatus.FILLED, None, ("O1", "O2")), later)
    assert (signal.order_ids, signal.completed_at, signal.latency_ms) == ("O1 O2", later, 12)
    assert (
        complete_signal(SIGNAL, SignalOutcome(SignalStatus.FILLED), NOON - timedelta(seconds=1)).latency_ms
        == 0
    )
