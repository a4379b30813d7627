"""The rules of approvals: orders that must wait, approvers, and the conditions of a decision."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.orders.rules.approvals import (
    DEFAULT_APPROVERS,
    REJECTION_CODE,
    ApprovalMode,
    ApprovalPolicy,
    ApprovalRequest,
    Decider,
    build_rejection,
    build_request_payload,
    find_approval_event_type,
    has_price_moved,
    is_approver,
    is_covered,
    is_own_order,
    is_rejection,
    loses_fills,
    needs_new_approval,
    parse_policy,
)
from app.orders.rules.order_factory import Placement, build_order_from_ticket
from app.orders.rules.values import Order, OrderType, Status, Ticket
from app.timestamps import Timestamp

AMOUNTS = st.decimals(min_value=0, max_value=10**9, places=2)
AT = Timestamp("2026-11-20T12:00:00.000000Z")


def build_order(**changes: Any) -> Order:
    ticket = Ticket("AAPL", "BUY", OrderType.LIMIT, Decimal(10), limit_price=Decimal(100))
    return build_order_from_ticket("O1", Placement(1, 7, "algo", None, AT), ticket, Decimal(10))._replace(
        **changes
    )


def build_request(**changes: Any) -> ApprovalRequest:
    approval_request = ApprovalRequest(
        1, "O1", 7, "always", "slack:T1:U1", AT, AT, Decimal(100), Decimal(1), '["role:risk"]', "{}"
    )
    return approval_request._replace(**changes)


def test_request_has_the_key_of_its_order_and_portfolio():
    order, request = build_order(id="O2", portfolio_id=9), build_request(order_id="O2", portfolio_id=9)
    assert request.order_key == (order.tenant_id, order.id)
    assert request.portfolio_key == (order.tenant_id, order.portfolio_id)


def is_order_covered(policy: ApprovalPolicy, value: Any, equity: Any = 1000) -> bool:
    amounts = (None if amount is None else Decimal(amount) for amount in (value, equity))
    return is_covered(policy, "AAPL", *amounts)


@given(AMOUNTS, AMOUNTS)
def test_policy_covers_orders_above_the_value_threshold(threshold, value):
    policy = ApprovalPolicy(ApprovalMode.ABOVE_VALUE, threshold)
    assert is_covered(policy, "AAPL", value, None) == (value > threshold)


@given(st.decimals(min_value=0, max_value=100, places=2), AMOUNTS, st.decimals(1, 10**9, places=2))
def test_policy_covers_orders_above_the_percentage_of_equity(percent, value, equity):
    policy = ApprovalPolicy(ApprovalMode.ABOVE_EQUITY_SHARE, percent)
    assert is_covered(policy, "AAPL", value, equity) == (value * 100 > equity * percent)


@given(st.sampled_from(ApprovalMode), AMOUNTS, AMOUNTS, AMOUNTS)
def test_policy_that_covers_an_order_covers_every_larger_order(mode, threshold, value, more):
    policy = ApprovalPolicy(mode, threshold, frozenset({"AAPL"}))
    if is_covered(policy, "AAPL", value, Decimal(5)):
        assert is_covered(policy, "AAPL", value + more, Decimal(5))


def test_each_approval_mode_covers_orders_also_with_unknown_values():
    always, listed = ApprovalPolicy(ApprovalMode.ALWAYS), ApprovalPolicy(ApprovalMode.INSTRUMENTS)
    assert is_order_covered(always, "0")
    assert not is_order_covered(listed, "1000000")
    assert is_order_covered(listed._replace(instruments=frozenset({"AAPL"})), "1")
    above = ApprovalPolicy(ApprovalMode.ABOVE_VALUE, Decimal(50))
    share = ApprovalPolicy(ApprovalMode.ABOVE_EQUITY_SHARE, Decimal(50))
    for unknown in (
        is_order_covered(above, None),
        is_order_covered(above._replace(value=None), 1),
        is_order_covered(share, None),
    ):
        assert unknown
    for unknown in (
        is_order_covered(share, 1, None),
        is_order_covered(share, 1, 0),
        is_order_covered(share, 1, -5),
    ):
        assert unknown
    assert is_order_covered(share._replace(value=None), 1)


def test_policy_is_parsed_from_text_with_defaults():
    values = {
        "mode": "above_value", "value": "50000", "instruments": ["TSLA"], "approvers": ["role:risk"],
        "expires_minutes": 5, "max_move_percent": "0.5",
    }  # fmt: skip
    assert parse_policy(orjson.dumps(values).decode()) == ApprovalPolicy(
        ApprovalMode.ABOVE_VALUE, Decimal(50000), frozenset({"TSLA"}), ("role:risk",), 5, Decimal("0.5")
    )
    assert parse_policy('{"mode":"always"}') == ApprovalPolicy(ApprovalMode.ALWAYS)
    assert ApprovalPolicy(ApprovalMode.ALWAYS).approvers == DEFAULT_APPROVERS


@pytest.mark.parametrize(
    ("side", "before", "after", "worse"),
    [
        ("BUY", {}, {"quantity": Decimal(11)}, True),
        ("BUY", {}, {"quantity": Decimal(9)}, False),
        ("BUY", {}, {"limit_price": Decimal(101)}, True),
        ("BUY", {}, {"limit_price": Decimal(99)}, False),
        ("SELL", {}, {"limit_price": Decimal(99)}, True),
        ("SELL", {}, {"limit_price": Decimal(101)}, False),
        ("BUY", {"stop_price": Decimal(90)}, {"stop_price": Decimal(91)}, True),
        ("SELL", {"stop_price": Decimal(90)}, {"stop_price": Decimal(89)}, True),
        ("BUY", {"trail_amount": Decimal(2)}, {"trail_amount": Decimal(3)}, True),
        ("BUY", {"trail_amount": Decimal(2)}, {"trail_amount": Decimal(1)}, False),
        ("BUY", {"trail_amount": Decimal(2)}, {"trail_amount": None, "trail_percent": Decimal(1)}, True),
    ],
)
def test_replacement_needs_approval_for_more_quantity_worse_price_or_trail(side, before, after, worse):
    old = build_order(side=side, **before)
    assert needs_new_approval(old, old._replace(**after)) is worse


def test_listed_roles_and_users_may_decide():
    request = build_request(approvers='["role:risk","slack:T1:U9","eve@example.com"]')
    assert is_approver(request, Decider(frozenset({"slack:T1:U5"}), "risk"))
    assert is_approver(request, Decider(frozenset({"slack:T1:U9"}), "trader"))
    assert is_approver(request, Decider(frozenset({"slack:T1:U8", "eve@example.com"}), None))
    assert not is_approver(request, Decider(frozenset({"slack:T1:U5"}), "approver"))
    assert not is_approver(request, Decider(frozenset({"role:risk"}), "trader")._replace(names=frozenset()))


@pytest.mark.parametrize(
    ("placed", "creator", "own"),
    [
        ({"actor": "slack:T1:U1"}, None, True),
        ({"actor": "alice@example.com"}, None, True),  # the same person, logged in
        ({"actor": "slack:T1:U2", "user_id": "slack:T1:U1"}, None, True),
        ({"actor": None}, "slack:T1:U1", True),  # a key of theirs
        ({"actor": "slack:T1:U2"}, None, False),
        ({"actor": None}, None, False),
    ],
)
def test_user_cannot_decide_on_their_own_order(placed, creator, own):
    decider = Decider(frozenset({"slack:T1:U1", "alice@example.com"}), "admin")
    request = build_request(requested_by="slack:T1:U2")
    assert is_own_order(build_order(**placed), request, decider, creator) is own
    assert is_own_order(build_order(), build_request(requested_by="alice@example.com"), decider, None)


@given(AMOUNTS.filter(bool), AMOUNTS.filter(bool), st.decimals(0, 50, places=2))
def test_price_move_beyond_the_percentage_of_the_seen_price_is_detected(seen_price, price, percent):
    assert has_price_moved(seen_price, price, percent) == (
        abs(price - seen_price) > seen_price * percent / 100
    )


def test_unknown_price_is_not_compared():
    assert not has_price_moved(Decimal(100), None, Decimal(1))
    assert has_price_moved(None, Decimal(100), Decimal(1))


def test_approved_replacement_keeps_the_filled_quantity_of_its_original():
    denied = build_order(denial="{}", replaces="O0")
    assert loses_fills(denied, ["INITIALIZED", "DENIED"])
    assert not loses_fills(denied, ["INITIALIZED", "AWAITING_APPROVAL", "DENIED"])
    assert not loses_fills(denied._replace(replaces=None), ["DENIED"])


def test_approval_rejection_is_distinct_from_a_risk_denial():
    denial = build_rejection("slack:T1:U9", "No")
    assert (denial.code, denial.message) == (REJECTION_CODE, "slack:T1:U9 rejected it: No")
    assert is_rejection(denial._asdict())
    assert not is_rejection(denial._asdict() | {"limit": "1"})
    assert not is_rejection(denial._asdict() | {"code": "HALTED"})
    assert not is_rejection(None)


@pytest.mark.parametrize(
    ("start", "end", "actor", "event"),
    [
        ("INITIALIZED", "AWAITING_APPROVAL", "U1", "approval.requested"),
        ("AWAITING_APPROVAL", "AWAITING_APPROVAL", "U1", None),
        ("AWAITING_APPROVAL", "SUBMITTED", "U2", "approval.granted"),
        ("AWAITING_APPROVAL", "HELD", "U2", "approval.granted"),
        ("AWAITING_APPROVAL", "DENIED", "U2", "approval.rejected"),
        ("AWAITING_APPROVAL", "DENIED", "risk", None),
        ("AWAITING_APPROVAL", "EXPIRED", "calendar", "approval.expired"),
        ("AWAITING_APPROVAL", "CANCELED", "U1", None),
        ("SUBMITTED", "ACCEPTED", "paper", None),
    ],
)
def test_each_change_of_a_waiting_order_has_an_event(start, end, actor, event):
    assert find_approval_event_type(start, Status(end).value, actor) == event


def test_approval_payload_serializes_amounts_as_text():
    request_payload = build_request_payload(build_request())
    assert (
        request_payload["price_seen"],
        request_payload["max_move_percent"],
        request_payload["approvers"],
    ) == ("100.00", "1", ["role:risk"])
    assert build_request_payload(build_request(price_seen=None))["price_seen"] is None


def test_request_names_the_portfolio_of_its_order():
    assert build_request().portfolio_key == (1, 7)
