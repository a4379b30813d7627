"""Orders end with their time, in the order in which things happen."""

from datetime import timedelta
from decimal import Decimal

from app.clock import iso
from app.orders.rules.values import Status, Target
from tests.orders.rig import START

WAITING = {"type": "LIMIT", "limit_price": "90"}


def test_a_day_order_expires_at_the_end_of_the_day(rig):
    order = rig.place(**WAITING)
    assert order.ends_at == "2026-11-21T00:00:00.000000Z"
    rig.tick(hours=11, minutes=59)
    rig.expire()
    assert rig.order(order).status is Status.ACCEPTED
    rig.now = START + timedelta(hours=12)
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


def test_a_dated_order_expires_at_its_instant(rig):
    order = rig.place(**WAITING, time_in_force="GTD", expires_at=iso(START + timedelta(minutes=5)))
    rig.tick(minutes=5)
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


def test_an_order_until_cancelled_stays(rig):
    order = rig.place(**WAITING, time_in_force="GTC")
    rig.tick(days=400)
    rig.expire()
    assert rig.order(order).status is Status.ACCEPTED


def test_what_is_over_does_not_fill_at_a_quote_that_comes_later(rig):
    order = rig.place(**WAITING)
    rig.tick(days=1)
    rig.quote("89", "90", "90")
    assert rig.order(order).status is Status.EXPIRED


def test_an_expired_entry_ends_its_legs(rig):
    order = rig.place(**WAITING, take_profit=Target(Decimal(120)))
    rig.tick(days=1)
    rig.expire()
    assert rig.rows("SELECT status FROM orders ORDER BY id") == [("EXPIRED",), ("CANCELED",)]
    assert rig.order(order).status is Status.EXPIRED
