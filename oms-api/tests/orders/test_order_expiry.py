"""Orders expire at their end time, in the correct order with other events."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from app.orders.rules.values import Status, TakeProfit
from app.orders.service.internal_commands import ExpireOrders
from app.timestamps import format_timestamp
from tests.orders.writer_harness import START

pytestmark = pytest.mark.any_database

RESTING_LIMIT_ORDER = {"type": "LIMIT", "limit_price": "90"}


def test_day_order_expires_at_the_end_of_the_day(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    assert order.ends_at == "2026-11-21T00:00:00.000000Z"
    harness.advance_clock(hours=11, minutes=59)
    harness.expire_orders()
    assert harness.get_order(order).status is Status.ACCEPTED
    harness.now = START + timedelta(hours=12)
    harness.expire_orders()
    assert harness.get_order(order).status is Status.EXPIRED


@pytest.mark.parametrize("terms", [{}, {"time_in_force": "DAY"}])
def test_day_order_shows_its_expiry_and_is_returned_for_a_repeated_ticket(market, terms):
    ticket = {"type": "LIMIT", "limit_price": "90", "client_order_id": "mine", **terms}
    order = market.place_order(**ticket)
    midnight = datetime.fromisoformat(order["created_at"]).date() + timedelta(days=1)
    assert order["expires_at"] == f"{midnight}T00:00:00.000000Z"
    assert market.get_order(order["id"])["expires_at"] == order["expires_at"]
    assert market.post_order(**ticket).headers["idempotent-replayed"] == "true"


def test_order_without_expiry_shows_none(market):
    order = market.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    assert order["expires_at"] is None
    assert market.place_order(time_in_force="IOC")["expires_at"] is None
    changed = market.patch(
        f"/orders/{order['id']}", {"time_in_force": "GTD", "expires_at": "2099-01-01T10:00:00+01:00"}
    )
    assert changed.json()["expires_at"] == "2099-01-01T09:00:00.000000Z"


def test_gtd_order_expires_at_its_instant(harness):
    order = harness.place_order(
        **RESTING_LIMIT_ORDER, time_in_force="GTD", expires_at=format_timestamp(START + timedelta(minutes=5))
    )
    harness.advance_clock(minutes=5)
    harness.expire_orders()
    assert harness.get_order(order).status is Status.EXPIRED


def test_gtc_order_does_not_expire(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER, time_in_force="GTC")
    harness.advance_clock(days=400)
    harness.expire_orders()
    assert harness.get_order(order).status is Status.ACCEPTED


def place_gtd_order(harness, minutes):
    at = format_timestamp(START + timedelta(minutes=minutes))
    return harness.place_order(**RESTING_LIMIT_ORDER, time_in_force="GTD", expires_at=at)


def test_later_expiry_runs_after_the_first_expiring_order_is_canceled(harness):
    first, second, third = (
        place_gtd_order(harness, 5),
        place_gtd_order(harness, 10),
        place_gtd_order(harness, 15),
    )
    harness.cancel(first)
    for minutes, expected in ((5, "ACCEPTED"), (10, "EXPIRED"), (15, "EXPIRED")):
        harness.now = START + timedelta(minutes=minutes)
        harness.expire_orders()
        assert harness.get_order(second).status == expected
        assert harness.get_order(third).status == ("EXPIRED" if minutes == 15 else "ACCEPTED")


def test_expiry_that_was_not_committed_is_retried(harness):
    order = place_gtd_order(harness, 5)
    harness.advance_clock(minutes=5)
    with (
        harness.engine.connect().execution_options(writes=True) as connection,
        connection.begin() as transaction,
    ):
        harness.handler.handle(connection, [ExpireOrders(harness.tenant, format_timestamp(harness.now))], {})
        transaction.rollback()
    assert harness.get_order(order).status is Status.ACCEPTED
    harness.expire_orders()
    assert harness.get_order(order).status is Status.EXPIRED


def test_expired_order_does_not_fill_at_a_later_quote(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER)
    harness.advance_clock(days=1)
    harness.publish_quote("89", "90", "90")
    assert harness.get_order(order).status is Status.EXPIRED


def test_expired_entry_cancels_its_exits(harness):
    order = harness.place_order(**RESTING_LIMIT_ORDER, take_profit=TakeProfit(Decimal(120)))
    harness.advance_clock(days=1)
    harness.expire_orders()
    assert harness.query("SELECT status FROM orders ORDER BY id") == [("EXPIRED",), ("CANCELED",)]
    assert harness.get_order(order).status is Status.EXPIRED
