"""Requests without a decision expire, and a late fill counts for the waiting replacement."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Executed
from app.database import unit_of_work
from app.orders.errors import NotAwaitingApproval
from app.orders.queries.due_orders import list_tenants_with_expired_requests
from app.orders.rules.values import Status, StopLoss
from app.orders.service.commands import DecideApproval
from app.timestamps import format_timestamp

pytestmark = pytest.mark.any_database
RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


@pytest.fixture
def harness_with_policy(harness):
    """Provide the harness with a policy that expires after 30 minutes."""
    harness.open_portfolio()
    set_policy(harness, '{"mode":"always"}')
    return harness


def set_policy(harness, policy):
    with unit_of_work(harness.engine) as connection:
        connection.execute(text("UPDATE portfolios SET approval = :policy"), {"policy": policy})


def approve_order(harness, order, *, is_granted=True):
    origin = harness.build_origin()._replace(actor="slack:T1:U9")
    return harness.run(DecideApproval(origin, order.id, is_granted, "Because", None, "approver"))[0]


def test_approval_request_expires_at_its_stated_instant(harness_with_policy):
    order = harness_with_policy.place_order(**RESTING_LIMIT_ORDER, stop_loss=StopLoss(Decimal(80)))
    assert order.status is Status.AWAITING_APPROVAL
    harness_with_policy.advance_clock(minutes=30, microseconds=-1)
    harness_with_policy.expire_orders()
    assert harness_with_policy.get_order(order).status is Status.AWAITING_APPROVAL
    harness_with_policy.advance_clock(microseconds=1)
    with harness_with_policy.engine.connect() as connection:
        assert list_tenants_with_expired_requests(connection, format_timestamp(harness_with_policy.now)) == [
            harness_with_policy.tenant
        ]
    harness_with_policy.expire_orders()
    assert harness_with_policy.get_order(order).status is Status.EXPIRED
    assert len(harness_with_policy.list_events("approval.expired")) == 1
    assert harness_with_policy.query("SELECT DISTINCT status FROM orders WHERE role = 'stop_loss'") == [
        ("CANCELED",)
    ]
    assert harness_with_policy.query("SELECT reason FROM order_events WHERE to_status = 'EXPIRED'") == [
        ("Nobody approved it in time.",)
    ]


@pytest.mark.parametrize("is_granted", [True, False])
def test_decision_after_expiry_finds_the_order_expired(harness_with_policy, is_granted):
    order = harness_with_policy.place_order(**RESTING_LIMIT_ORDER)
    harness_with_policy.advance_clock(minutes=30)
    refused = approve_order(harness_with_policy, order, is_granted=is_granted)
    assert isinstance(refused, NotAwaitingApproval)
    assert refused.extensions["decision"] == "expired"
    assert harness_with_policy.get_order(order).status is Status.EXPIRED


def test_undecided_day_order_expires_at_the_end_of_its_day(harness_with_policy):
    order = harness_with_policy.place_order(type="LIMIT", limit_price="90")
    set_policy(harness_with_policy, None)
    harness_with_policy.now = (harness_with_policy.now + timedelta(days=1)).replace(hour=0)
    refused = approve_order(harness_with_policy, order)
    assert isinstance(refused, NotAwaitingApproval)
    assert harness_with_policy.get_order(order).status is Status.EXPIRED


def test_only_the_first_of_two_decisions_in_a_batch_applies(harness_with_policy):
    order = harness_with_policy.place_order(**RESTING_LIMIT_ORDER)
    commands = []
    for name, is_granted in (("slack:T1:U8", True), ("slack:T1:U9", False)):
        origin = harness_with_policy.build_origin()._replace(actor=name)
        commands.append(DecideApproval(origin, order.id, is_granted, "Because", None, "approver"))
    won, lost = harness_with_policy.run(*commands)
    assert won.orders[0].order.status is Status.ACCEPTED
    assert isinstance(lost, NotAwaitingApproval)
    assert (lost.extensions["decided_by"], lost.extensions["decision"]) == ("slack:T1:U8", "approved")


def test_late_fill_counts_towards_the_waiting_replacement(harness_with_policy):
    order = harness_with_policy.place_order(**RESTING_LIMIT_ORDER)
    approve_order(harness_with_policy, order)
    more = harness_with_policy.replace(order, quantity="12").orders[0].order
    assert more.status is Status.AWAITING_APPROVAL
    harness_with_policy.advance_clock()
    late = Executed(order.id, "X1", Decimal(12), Decimal(90), Decimal(1080), harness_with_policy.now)
    harness_with_policy.report_broker_event(order, late)
    assert (
        harness_with_policy.get_order(more).status,
        harness_with_policy.get_order(more).leaves_quantity,
    ) == (Status.AWAITING_APPROVAL, 0)
    assert approve_order(harness_with_policy, more).orders[0].order.status is Status.FILLED


def test_order_approved_before_the_open_is_held_without_a_second_approval(harness_with_policy):
    harness_with_policy.list_instrument()
    harness_with_policy.enforce_sessions("hold")
    set_policy(harness_with_policy, '{"mode":"always"}')
    order = harness_with_policy.place_order(quantity="1")
    assert order.status is Status.AWAITING_APPROVAL
    held_order = approve_order(harness_with_policy, order).orders[0].order
    assert held_order.status is Status.HELD
    assert len(harness_with_policy.list_events("approval.granted")) == 1
    harness_with_policy.now = harness_with_policy.now.replace(hour=14, minute=30, second=0)
    harness_with_policy.release_orders()
    assert harness_with_policy.get_order(order).status is Status.FILLED
