"""Signals as values, without I/O."""

from decimal import Decimal

from app.signals.rules.completion import build_signal_payload
from app.signals.rules.values import Signal, SignalChannel, SignalMode, SignalStatus, SizeKind
from tests.factories import NOON


def test_signal_is_complete_when_it_has_an_outcome():
    values = ("redis", None, None, 7, "AAPL", "BUY", SizeKind.QTY, Decimal(1), None, None, SignalMode.TRADE)
    signal = Signal(1, 1, "s1", SignalChannel.REDIS, *values, None, "hash", NOON)
    assert not signal.is_complete
    filled = signal._replace(status=SignalStatus.FILLED, order_ids="O1 O2")
    assert filled.is_complete
    payload = build_signal_payload(filled)
    assert (payload["channel"], payload["side"], payload["order_ids"]) == ("redis", "BUY", ["O1", "O2"])
