"""The order of a signal and its outcome, as plain values."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.approvals import ApprovalMode, find_policy
from app.signals.rules.completion import compute_latency_ms, is_expired
from app.signals.rules.serialization import serialize_size
from app.signals.rules.sizing import SizedOrder, compute_notional, size_to_target
from app.signals.rules.values import SignalSize, SizeKind
from tests.factories import NOON

QUANTITIES = st.integers(-1000, 1000).map(Decimal)


@given(QUANTITIES, QUANTITIES, QUANTITIES)
def test_order_takes_position_and_working_orders_to_the_target(target, position, working):
    sized = size_to_target(target, position, working)
    signed_quantity = Decimal(0)
    if sized is not None:
        signed_quantity = (sized.quantity or Decimal(0)) * (1 if sized.side == "BUY" else -1)
    assert position + working + signed_quantity == target
    assert (sized is None) == (position + working == target)


def test_part_of_the_equity_is_converted_to_the_instruments_currency():
    assert compute_notional(Decimal(1000), Decimal(5), Decimal(1)) == 50
    assert compute_notional(Decimal(8000), Decimal(50), Decimal(80)) == 50
    assert compute_notional(Decimal(-1), Decimal(5), Decimal(1)) == 0


def test_signal_expires_at_its_instant_and_has_a_latency():
    assert not is_expired(None, NOON)
    assert is_expired(NOON, NOON)
    assert not is_expired(NOON + timedelta(seconds=1), NOON)
    assert compute_latency_ms(NOON, NOON + timedelta(milliseconds=12)) == 12
    assert compute_latency_ms(NOON, NOON - timedelta(seconds=1)) == 0


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (SignalSize(SizeKind.QTY, Decimal("10.50")), {"qty": "10.5"}),
        (SignalSize(SizeKind.CLOSE, None), {"close": True}),
    ],
)
def test_size_keeps_its_written_form(size, shown):
    assert serialize_size(size) == shown


def test_closing_order_has_no_size():
    assert SizedOrder(None) == (None, None, None)


def test_forced_approval_covers_every_order():
    text = '{"mode": "above_value", "value": "5", "approvers": ["role:risk"]}'
    policies = [find_policy(policy, is_forced=forced) for policy in (None, text) for forced in (False, True)]
    modes = [None if approval_policy is None else approval_policy.mode for approval_policy in policies]
    assert modes == [None, ApprovalMode.ALWAYS, ApprovalMode.ABOVE_VALUE, ApprovalMode.ALWAYS]
    assert policies[3] is not None
    assert policies[3].approvers == ("role:risk",)
