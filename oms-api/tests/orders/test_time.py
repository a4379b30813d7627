"""Orders end with their time, in the order in which things happen."""

from datetime import timedelta
from decimal import Decimal

from app.clock import iso
from app.orders.rules.values import Status, Target
from app.orders.service.commands import ExpireOrders
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


def dated(rig, minutes):
    at = iso(START + timedelta(minutes=minutes))
    return rig.place(**WAITING, time_in_force="GTD", expires_at=at)


def test_orders_end_one_after_the_other_though_the_first_to_end_has_gone(rig):
    first, second, third = dated(rig, 5), dated(rig, 10), dated(rig, 15)
    rig.cancel(first)
    for minutes, expected in ((5, "ACCEPTED"), (10, "EXPIRED"), (15, "EXPIRED")):
        rig.now = START + timedelta(minutes=minutes)
        rig.expire()
        assert rig.order(second).status == expected
        assert rig.order(third).status == ("EXPIRED" if minutes == 15 else "ACCEPTED")


def test_an_end_that_was_not_committed_comes_again(rig):
    order = dated(rig, 5)
    rig.tick(minutes=5)
    with rig.engine.connect() as connection, connection.begin() as transaction:
        rig.floor.handle(connection, [ExpireOrders(rig.tenant, iso(rig.now))])
        transaction.rollback()
    assert rig.order(order).status is Status.ACCEPTED
    rig.expire()
    assert rig.order(order).status is Status.EXPIRED


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
