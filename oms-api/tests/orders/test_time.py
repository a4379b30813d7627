"""Orders expire at their end time, in the correct order with other events."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from app.orders.rules.values import Status, Target
from app.orders.service.internal_commands import ExpireOrders
from app.timestamps import format_timestamp
from tests.orders.rig import START

pytestmark = pytest.mark.any_database

WAITING = {"type": "LIMIT", "limit_price": "90"}


def test_day_order_expires_at_the_end_of_the_day(rig):
    order = rig.place(**WAITING)
    assert order.ends_at == "2026-11-21T00:00:00.000000Z"
    rig.tick(hours=11, minutes=59)
    rig.expire()
    assert rig.order(order).status is Status.ACCEPTED
    rig.now = START + timedelta(hours=12)
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


@pytest.mark.parametrize("asked", [{}, {"time_in_force": "DAY"}])
def test_day_order_shows_its_expiry_and_is_returned_for_a_repeated_ticket(market, asked):
    ticket = {"type": "LIMIT", "limit_price": "90", "client_order_id": "mine", **asked}
    order = market.order(**ticket)
    midnight = datetime.fromisoformat(order["created_at"]).date() + timedelta(days=1)
    assert order["expires_at"] == f"{midnight}T00:00:00.000000Z"
    assert market.found(order["id"])["expires_at"] == order["expires_at"]
    assert market.place(**ticket).headers["idempotent-replayed"] == "true"


def test_order_without_expiry_shows_none(market):
    order = market.order(type="LIMIT", limit_price="90", time_in_force="GTC")
    assert order["expires_at"] is None
    assert market.order(time_in_force="IOC")["expires_at"] is None
    dated = market.patch(
        f"/orders/{order['id']}", {"time_in_force": "GTD", "expires_at": "2099-01-01T10:00:00+01:00"}
    )
    assert dated.json()["expires_at"] == "2099-01-01T09:00:00.000000Z"


def test_gtd_order_expires_at_its_instant(rig):
    order = rig.place(
        **WAITING, time_in_force="GTD", expires_at=format_timestamp(START + timedelta(minutes=5))
    )
    rig.tick(minutes=5)
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


def test_gtc_order_does_not_expire(rig):
    order = rig.place(**WAITING, time_in_force="GTC")
    rig.tick(days=400)
    rig.expire()
    assert rig.order(order).status is Status.ACCEPTED


def dated(rig, minutes):
    at = format_timestamp(START + timedelta(minutes=minutes))
    return rig.place(**WAITING, time_in_force="GTD", expires_at=at)


def test_later_expiry_runs_after_the_first_expiring_order_is_cancelled(rig):
    first, second, third = dated(rig, 5), dated(rig, 10), dated(rig, 15)
    rig.cancel(first)
    for minutes, expected in ((5, "ACCEPTED"), (10, "EXPIRED"), (15, "EXPIRED")):
        rig.now = START + timedelta(minutes=minutes)
        rig.expire()
        assert rig.order(second).status == expected
        assert rig.order(third).status == ("EXPIRED" if minutes == 15 else "ACCEPTED")


def test_expiry_that_was_not_committed_is_retried(rig):
    order = dated(rig, 5)
    rig.tick(minutes=5)
    with rig.engine.connect() as connection, connection.begin() as transaction:
        rig.handler.handle(connection, [ExpireOrders(rig.tenant, format_timestamp(rig.now))], {})
        transaction.rollback()
    assert rig.order(order).status is Status.ACCEPTED
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


def test_expired_order_does_not_fill_at_a_later_quote(rig):
    order = rig.place(**WAITING)
    rig.tick(days=1)
    rig.quote("89", "90", "90")
    assert rig.order(order).status is Status.EXPIRED


def test_expired_entry_ends_its_legs(rig):
    order = rig.place(**WAITING, take_profit=Target(Decimal(120)))
    rig.tick(days=1)
    rig.expire()
    assert rig.rows("SELECT status FROM orders ORDER BY id") == [("EXPIRED",), ("CANCELED",)]
    assert rig.order(order).status is Status.EXPIRED


def test_request_received_before_a_quote_uses_the_quote_size_once(rig):
    """The request waited in the queue behind the quote: its fill bears the quote's moment."""
    rig.open_portfolio()
    rig.quote("99", "101", "100", ask_size="10")
    said = rig.now
    rig.now = START  # the requests arrived before the quote
    first, second = (rig.place(quantity="10", client_order_id=name) for name in ("first", "second"))
    assert (first.filled_quantity, second.filled_quantity) == (10, 0)
    assert rig.rows("SELECT DISTINCT executed_at FROM executions") in ([(format_timestamp(said),)], [(said,)])
    assert rig.rows("SELECT DISTINCT executed_at FROM trades") in ([(format_timestamp(said),)], [(said,)])


def test_fill_of_a_later_request_has_the_time_of_that_request(rig):
    rig.quote("99", "101", "100", ask_size="10")
    rig.tick(seconds=5)
    rig.place(quantity="4")
    rig.tick(seconds=5)
    assert rig.place(quantity="10").filled_quantity == 6
    found = [value if isinstance(value, str) else format_timestamp(value) for (value,) in rig.rows(
        "SELECT executed_at FROM executions ORDER BY executed_at")]  # fmt: skip
    assert found == [
        format_timestamp(START + timedelta(seconds=7)),
        format_timestamp(START + timedelta(seconds=12)),
    ]
