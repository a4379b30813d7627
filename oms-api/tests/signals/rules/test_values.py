"""Signals as values, without I/O."""

from decimal import Decimal

import pytest

from app.signals.rules.completion import build_signal_payload
from app.signals.rules.values import (
    Channel,
    Signal,
    SignalMode,
    SignalRequest,
    SignalStatus,
    Size,
    SizeKind,
)
from tests.factories import NOON


@pytest.mark.parametrize(
    ("size", "is_relative"),
    [
        (Size(SizeKind.QTY, Decimal(1)), False),
        (Size(SizeKind.CLOSE, None), False),
        (Size(SizeKind.TARGET_POSITION, Decimal(0)), True),
        (None, True),  # that of the strategy, which may be a target
    ],
)
def test_order_of_a_target_depends_on_the_position(size, is_relative):
    none = dict.fromkeys(("price", "reason", "strategy", "portfolio", "expires_at"))
    facts = {"id": "s1", "channel": Channel.REDIS, "symbol": "AAPL", "side": "BUY", "request_hash": "hash"}
    request = SignalRequest(**(none | facts), size=size)  # type: ignore[arg-type]  # by name
    assert request.may_be_relative is is_relative


def test_signal_is_complete_when_it_has_an_outcome():
    facts = ("redis", None, None, 7, "AAPL", "BUY", SizeKind.QTY, Decimal(1), None, None, SignalMode.TRADE)
    signal = Signal(1, 1, "s1", Channel.REDIS, *facts, None, "hash", NOON)
    assert not signal.is_complete
    filled = signal._replace(status=SignalStatus.FILLED, order_ids="O1 O2")
    assert filled.is_complete
    payload = build_signal_payload(filled)
    assert (payload["channel"], payload["side"], payload["order_ids"]) == ("redis", "BUY", ["O1", "O2"])
