"""What nobody decides on expires, and a late fill counts for the replacement that waits."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text

from app.brokers.rules.values import Executed
from app.database import unit_of_work
from app.orders.errors import NotAwaitingApproval
from app.orders.queries.due_orders import find_tenants_with_expired_requests
from app.orders.rules.values import Protection, Status
from app.orders.service.commands import DecideApproval
from app.timestamps import format_timestamp

pytestmark = pytest.mark.any_database
WAITING = {"type": "LIMIT", "limit_price": "90", "time_in_force": "GTC"}


@pytest.fixture
def waiting(rig):
    """Provide the rig with a policy that expires after 30 minutes."""
    rig.open_portfolio()
    set_policy(rig, '{"mode":"always"}')
    return rig


def set_policy(rig, policy):
    with unit_of_work(rig.engine) as connection:
        connection.execute(text("UPDATE portfolios SET approval = :policy"), {"policy": policy})


def decide(rig, order, *, is_granted=True):
    origin = rig.origin()._replace(actor="slack:T1:U9")
    return rig.run(DecideApproval(origin, order.id, is_granted, "Because", None, "approver"))[0]


def test_approval_request_expires_at_its_stated_instant(waiting):
    order = waiting.place(**WAITING, stop_loss=Protection(Decimal(80)))
    assert order.status is Status.AWAITING_APPROVAL
    waiting.tick(minutes=30, microseconds=-1)
    waiting.expire()
    assert waiting.order(order).status is Status.AWAITING_APPROVAL
    waiting.tick(microseconds=1)
    with waiting.engine.connect() as connection:
        assert find_tenants_with_expired_requests(connection, format_timestamp(waiting.now)) == [
            waiting.tenant
        ]
    waiting.expire()
    assert waiting.order(order).status is Status.EXPIRED
    assert len(waiting.events("approval.expired")) == 1
    assert waiting.rows("SELECT DISTINCT status FROM orders WHERE role = 'stop_loss'") == [("CANCELED",)]
    assert waiting.rows("SELECT reason FROM order_events WHERE to_status = 'EXPIRED'") == [
        ("Nobody approved it in time.",)
    ]


@pytest.mark.parametrize("is_granted", [True, False])
def test_decision_after_expiry_finds_the_order_expired(waiting, is_granted):
    order = waiting.place(**WAITING)
    waiting.tick(minutes=30)
    refused = decide(waiting, order, is_granted=is_granted)
    assert isinstance(refused, NotAwaitingApproval)
    assert refused.extensions["decision"] == "expired"
    assert waiting.order(order).status is Status.EXPIRED


def test_undecided_day_order_expires_at_the_end_of_its_day(waiting):
    order = waiting.place(type="LIMIT", limit_price="90")
    set_policy(waiting, None)
    waiting.now = (waiting.now + timedelta(days=1)).replace(hour=0)
    refused = decide(waiting, order)
    assert isinstance(refused, NotAwaitingApproval)
    assert waiting.order(order).status is Status.EXPIRED


def test_only_the_first_of_two_decisions_in_a_batch_applies(waiting):
    order = waiting.place(**WAITING)
    commands = []
    for name, is_granted in (("slack:T1:U8", True), ("slack:T1:U9", False)):
        origin = waiting.origin()._replace(actor=name)
        commands.append(DecideApproval(origin, order.id, is_granted, "Because", None, "approver"))
    won, lost = waiting.run(*commands)
    assert won.orders[0].order.status is Status.ACCEPTED
    assert isinstance(lost, NotAwaitingApproval)
    assert (lost.extensions["decided_by"], lost.extensions["decision"]) == ("slack:T1:U8", "approved")


def test_late_fill_counts_towards_the_waiting_replacement(waiting):
    order = waiting.place(**WAITING)
    decide(waiting, order)
    more = waiting.replace(order, quantity="12").orders[0].order
    assert more.status is Status.AWAITING_APPROVAL
    waiting.tick()
    late = Executed(order.id, "X1", Decimal(12), Decimal(90), Decimal(1080), waiting.now)
    waiting.report(order, late)
    assert (waiting.order(more).status, waiting.order(more).leaves_quantity) == (Status.AWAITING_APPROVAL, 0)
    assert decide(waiting, more).orders[0].order.status is Status.FILLED


def test_order_approved_before_the_open_is_held_without_a_second_approval(waiting):
    waiting.list_instrument()
    waiting.enforce_sessions("hold")
    set_policy(waiting, '{"mode":"always"}')
    order = waiting.place(quantity="1")
    assert order.status is Status.AWAITING_APPROVAL
    held = decide(waiting, order).orders[0].order
    assert held.status is Status.HELD
    assert len(waiting.events("approval.granted")) == 1
    waiting.now = waiting.now.replace(hour=14, minute=30, second=0)
    waiting.release()
    assert waiting.order(order).status is Status.FILLED
